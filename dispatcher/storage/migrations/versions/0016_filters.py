"""Filters of webhooks, as their owners wrote them and compiled to a jsonpath that the fan-out asks.

*An event's body is read and parsed for filters once, and only in accounts that have one*: by a function, so that the
fan-out's own plan holds no scan of all days of events, which costs 0.1 ms to begin. A body that Postgres cannot parse
(somebody emitted by SQL) matches no filter, and holds up nobody.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0016"
down_revision = "0015"

UPGRADE = """
alter table webhooks
    add column filter json constraint webhooks_filter_is_an_object check (json_typeof(filter) = 'object'),
    add column filter_path jsonpath,
    add constraint webhooks_filters_are_compiled check ((filter is null) = (filter_path is null));
comment on column webhooks.filter_path is 'the filter as a predicate on the body; null: everything matches';
-- For the fan-out, which asks whether an account has filters at all.
create index webhooks_with_filter on webhooks (account_id) where deleted_at is null and filter_path is not null;

create function event_json(event_id bigint) returns jsonb language plpgsql stable as $$
begin
    return (select body::jsonb from dispatcher.events where id = event_id);
exception when data_exception or program_limit_exceeded then
    return null;
end
$$;

-- In the order of the ids; null for events of accounts without filters. Of all at once, because to begin a look at all
-- days of events costs as much as to parse a body.
create function event_bodies(ids bigint[]) returns jsonb[] language plpgsql stable as $$
begin
    return (
        select array_agg(e.body::jsonb order by wanted.n) from unnest(ids) with ordinality wanted (id, n)
        left join dispatcher.events e on e.id = wanted.id and exists (
            select from dispatcher.webhooks w
            where w.account_id = e.account_id and w.deleted_at is null and w.filter_path is not null));
exception when data_exception or program_limit_exceeded then
    return (select array_agg(dispatcher.event_json(wanted.id) order by wanted.n) from unnest(ids) with ordinality wanted (id, n));
end
$$;
"""

DOWNGRADE = """
drop function event_bodies, event_json;
alter table webhooks drop column filter_path, drop column filter;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
