"""Order means order: ids that only grow, and what the rule of order looks at.

*An event's id is drawn from one sequence, which holds whole ids* and is moved on to the present second once a second. So
of two events the one that was emitted later has the higher id, also where the counter overflows into the second, and
where the clock was set back by up to a minute: ids run ahead of it until it has caught up. Set back by more, ids follow
the clock, because a clock that was wrong for a moment must not give its future to all events to come.

*Of a resource only one delivery is out at a time*, so an index of those that are out has a row or none for each.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0011"
down_revision = "0010"

UPGRADE = """
-- Whole ids, moved on by `event_id_of_now`.
alter sequence event_counter as bigint minvalue 0 maxvalue 9007199254740991 no cycle;
select setval('event_counter',
    (extract(epoch from clock_timestamp())::bigint - 1577836800) << 23 | (select last_value from event_counter));
comment on sequence event_counter is 'the last id of an event: seconds since 2020 << 23 | counter';

-- With the rights of its owner: who emits by SQL may draw from the sequence, but not set it. The lock must not outlast
-- the function, and a transaction's lock would last to its commit; so it ends with a block that fails on purpose.
create function event_id_of_now() returns bigint language plpgsql security definer set search_path from current as $$
declare
    id bigint;
    second bigint;
begin
    begin
        perform pg_advisory_xact_lock(20200101, 0);
        id := nextval('event_counter');
        second := date_part('epoch', clock_timestamp())::bigint - 1577836800;
        if (id >> 23) - second not between 0 and 60 then
            id := setval('event_counter', second << 23 | (id & 8388607));
        end if;
        raise exception using errcode = 'DI001';
    exception when sqlstate 'DI001' then null;
    end;
    return id;
end
$$;

create or replace function new_event_id() returns bigint language plpgsql volatile as $$
declare
    id bigint := nextval('event_counter');
begin
    if (id >> 23) - (date_part('epoch', clock_timestamp())::bigint - 1577836800) between 0 and 60 then
        return id;
    end if;
    return event_id_of_now();
end
$$;

-- For the fan-out, which asks whose events must stay behind one that another fan-out has in its hands.
create index webhooks_with_order on webhooks (account_id)
    where deleted_at is null and (ordering = 'resource' or superseding);
-- For what is not held back: one of each resource of a webhook with order.
create index deliveries_out on deliveries_waiting (webhook_id, resource)
    where resource is not null and next_attempt_at < timestamptz '9999-12-31 00:00+00';

alter table deliveries add column outdated boolean;
comment on column deliveries.outdated is 'a newer update of its resource is known: what is in flight is not sent again';
"""

DOWNGRADE = """
alter table deliveries drop column outdated;
drop index deliveries_out;
drop index webhooks_with_order;
create or replace function new_event_id() returns bigint language sql volatile as $$
    select (extract(epoch from clock_timestamp())::bigint - 1577836800) << 23 | nextval('event_counter')
$$;
drop function event_id_of_now;
select setval('event_counter', (select last_value & 8388607 from event_counter));
alter sequence event_counter as int minvalue 0 maxvalue 8388607 cycle;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
