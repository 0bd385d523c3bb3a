"""The pipeline: accounts, webhooks, events, deliveries, attempts.

Three choices shape these tables.

*History is partitioned by day and dropped by day; what is waiting lies in small tables of its own.* `deliveries` is
partitioned by `finished_on`: unfinished ones have none and lie in `deliveries_waiting`, the only part the claim ever
reads; finishing one moves its row to its day's partition. The claim's cost depends on what waits, never on what was.

*An event's id carries its second.* It is `seconds since 2020 << 23 | counter`, so `events` can be partitioned by day
and still be found by id alone, and ids stay below 2^53, which JavaScript can hold (until 2054).

*No foreign keys between deliveries, events and attempts.* A partition could not be dropped under them, and each would
cost a look-up for each row on the hot path. Webhooks are only marked deleted, so a delivery always finds its own.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0001"
down_revision = None

UPGRADE = """
-- What is due is decided by this clock alone. Tests shift it, for one session: set dispatcher.shift = '3600'.
create function dispatcher_now() returns timestamptz language sql stable as $$
    select statement_timestamp() + make_interval(secs => coalesce(nullif(current_setting('dispatcher.shift', true), ''), '0')::float8)
$$;

create table accounts (
    id int generated always as identity primary key,
    slug text not null constraint accounts_slug_is_unique unique,
    time_zone text not null,
    created_at timestamptz not null default now()
);

create table webhooks (
    id int generated always as identity primary key,
    account_id int not null references accounts (id),
    failed_deliveries_uuid uuid not null default gen_random_uuid() unique,
    webhook_url text not null,
    auth_header_encrypted text,
    signing_secret_encrypted text not null,
    previous_secret_encrypted text,
    previous_secret_until timestamptz,
    active boolean not null default true,
    events text[] not null constraint webhooks_want_something check (cardinality(events) > 0),
    payload_version text not null default 'v3'
        constraint webhooks_payload_version_is_known check (payload_version in ('v3', 'legacy')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);
-- For the fan-out: the live webhooks of an account.
create index webhooks_by_account on webhooks (account_id) where deleted_at is null;

create sequence event_counter as int minvalue 0 maxvalue 8388607 cycle cache 50;
create function new_event_id() returns bigint language sql volatile as $$
    select (extract(epoch from clock_timestamp())::bigint - 1577836800) << 23 | nextval('event_counter')
$$;

create table events (
    id bigint not null default new_event_id() primary key,
    account_id int not null,
    name text not null,
    body json not null,
    idempotency_key text,
    created_at timestamptz not null
) partition by range (id);
-- Bodies of a few kilobytes stay uncompressed in their row: the drain reads each once for every webhook, and unpacking
-- it would cost more than sending it. Larger ones are compressed as usual.
create table events_default partition of events default with (toast_tuple_target = 8160);
-- Within a day the database itself refuses a second use of a key; `events.insert` looks further back, under a lock.
-- (It cannot be one index for all days: a unique index of a partitioned table must contain the partition key.)
create index events_by_key on events (account_id, idempotency_key) where idempotency_key is not null;

-- The outbox proper: an event waits here until it was fanned out. A small row beside the event, so that taking it
-- rewrites no payload and `events` is never changed.
create table events_waiting (
    event_id bigint primary key,
    account_id int not null,
    name text not null,
    recorded_at timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000);

create sequence delivery_id as bigint cache 50;
-- UUID v7 (RFC 9562): milliseconds, 12 random bits, and in the tail the delivery's id instead of more random bits.
-- Unique because ids are, and a delivery can be found by its key without a second index.
create function new_idempotency_key(delivery_id bigint) returns uuid language sql volatile as $$
    select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
            || '7' || lpad(to_hex((random() * 4095)::int), 3, '0')
            || to_hex((-9223372036854775808) | delivery_id))::uuid
$$;

create table deliveries (
    id bigint not null,
    event_id bigint not null,
    webhook_id int not null,
    idempotency_key uuid not null,
    state text not null default 'pending'
        constraint deliveries_state_is_known check (state in ('pending', 'delivered', 'failed', 'cancelled')),
    attempt_count smallint not null default 0,
    lost_count smallint not null default 0,
    tries_before smallint not null default 0,
    lost_before smallint not null default 0,
    next_attempt_at timestamptz not null default dispatcher_now(),
    lease_token uuid,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    finished_on date,
    constraint deliveries_finish_with_their_state check ((state = 'pending') = (finished_on is null))
) partition by list (finished_on);
comment on column deliveries.next_attempt_at is 'due time; while lease_token is set, the end of the lease';
comment on column deliveries.tries_before is 'attempts made before the last replay: they do not count against the tries';
comment on column deliveries.lost_before is 'the same of leases lost';

create table deliveries_waiting partition of deliveries for values in (null)
    with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000);
create table deliveries_default partition of deliveries default;
create index deliveries_by_id on deliveries (id);
-- For the claim, the release and reconcile. Only here: what is finished is never due.
create index deliveries_due on deliveries_waiting (webhook_id, next_attempt_at);
create unique index deliveries_are_one_per_event_and_webhook on deliveries_waiting (event_id, webhook_id);
-- For lists, newest first; not on what waits, where every claim would have to write it.
create index deliveries_default_by_webhook on deliveries_default (webhook_id, id);

create sequence attempt_id as bigint cache 50;
create table attempts (
    id bigint not null default nextval('attempt_id'),
    delivery_id bigint not null,
    number smallint not null,
    request_id uuid not null,
    url text not null,
    status text not null,
    reason text,
    content_type text,
    body text,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    recorded_on date not null default current_date
) partition by list (recorded_on);
create table attempts_default partition of attempts default;
create index attempts_by_delivery on attempts (delivery_id);
comment on column attempts.reason is 'for people: why there is no answer; "lost" for a lease that ran out unrecorded';

-- Makes the partitions of one day, in UTC. Does nothing where they exist; a day whose rows went to the default
-- partition already (nobody had made it in time) stays there.
create function create_partitions(day date) returns void language plpgsql as $$
declare
    suffix text := to_char(day, 'YYYYMMDD');
    first_id bigint := (extract(epoch from day::timestamp)::bigint - 1577836800) << 23;
    last_id bigint := (extract(epoch from (day + 1)::timestamp)::bigint - 1577836800) << 23;
begin
    if to_regclass('events_' || suffix) is null
       and not exists (select from events_default where id >= first_id and id < last_id) then
        execute format('create table events_%s partition of events for values from (%s) to (%s)
                        with (toast_tuple_target = 8160)', suffix, first_id, last_id);
        execute format('create unique index events_%s_key_is_unique on events_%s (account_id, idempotency_key)
                        where idempotency_key is not null', suffix, suffix);
    end if;
    if to_regclass('deliveries_' || suffix) is null
       and not exists (select from deliveries_default where finished_on = day) then
        execute format('create table deliveries_%s partition of deliveries for values in (%L)', suffix, day);
        execute format('create index deliveries_%s_by_webhook on deliveries_%s (webhook_id, id)', suffix, suffix);
    end if;
    if to_regclass('attempts_' || suffix) is null
       and not exists (select from attempts_default where recorded_on = day) then
        execute format('create table attempts_%s partition of attempts for values in (%L)', suffix, day);
    end if;
end
$$;

select create_partitions(current_date + n) from generate_series(0, 7) n;
"""

DOWNGRADE = """
drop table attempts, deliveries, events_waiting, events, webhooks, accounts;
drop sequence attempt_id, delivery_id;
drop function dispatcher_now, create_partitions, new_idempotency_key, new_event_id;
drop sequence event_counter;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
