"""An outbox: two tables, in a schema of their own, in the database of a service that has one of its own.

`events` holds what the service has committed and no worker has taken in yet. `failed` holds what workers could not take
in, with the reason, until somebody has it tried again or deletes it.
"""

VERSION = 1
INSTALL = f"""\
-- The outbox of webhook-dispatcher, version {VERSION}. Harmless when run again. Postgres 14 or newer.
do $$
begin
    perform pg_advisory_xact_lock(5264072);  -- any number: two installations at once wait for each other
    if to_regprocedure('dispatcher_outbox.version()') is not null then
        if dispatcher_outbox.version() > {VERSION} then
            raise exception using
                message = 'the outbox has version ' || dispatcher_outbox.version() || ', of a later release';
        end if;
    end if;
end
$$;
create schema if not exists dispatcher_outbox;

create table if not exists dispatcher_outbox.events (
    id bigint generated always as identity primary key,
    account text not null,
    name text not null,
    body json not null,
    idempotency_key text
        constraint events_idempotency_key_has_1_to_255_characters check (length(idempotency_key) between 1 and 255),
    created_at timestamptz not null default now()
        constraint events_created_at_is_of_this_calendar
            check (created_at between '0001-01-02 00:00+00' and '9999-12-30 00:00+00'),
    traceparent text,
    recorded_at timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);

create table if not exists dispatcher_outbox.failed (
    id bigint primary key,
    account text not null,
    name text not null,
    body json not null,
    idempotency_key text,
    created_at timestamptz not null,
    traceparent text,
    reason text not null,
    failed_at timestamptz not null default now()
);

-- Numbers begin at the time, in microseconds: an outbox that is created again, or restored, gives none a second time.
-- Workers would take it for that of an event that they have stored.
do $$
declare
    numbers text := pg_get_serial_sequence('dispatcher_outbox.events', 'id');
    now_us bigint := extract(epoch from clock_timestamp()) * 1000000;
begin
    if nextval(numbers) < now_us then
        perform setval(numbers, now_us);
    end if;
end
$$;

-- Notifies the workers, at the commit and only then.
create or replace function dispatcher_outbox.notify() returns trigger language plpgsql as $$
begin
    perform pg_catalog.pg_notify('dispatcher_outbox', '');
    return null;
end
$$;
create or replace trigger events_notify after insert on dispatcher_outbox.events
    for each statement execute function dispatcher_outbox.notify();

create or replace function dispatcher_outbox.version() returns int language sql immutable as 'select {VERSION}';
"""
