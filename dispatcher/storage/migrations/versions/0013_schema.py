"""A schema of its own: functions find what they name on any connection, whatever its search_path.

They name it by its schema. The other way, `set search_path` for a function, costs at each call.

`dispatcher.now()` was `dispatcher_now()`. There is one of that name still, for processes of the release before.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0013"
down_revision = "0012"

_CALLER_OF = """
create or replace function caller_of(wanted bytea) returns table (
    hash bytea, scopes text[], account_id int, slug text, time_zone text,
    id int, client_id text, clients_account_id int, name text, redirect_uris text[], client_scopes text[],
    created_at timestamptz, revoked_at timestamptz,
    user_id int, users_account_id int, email text, full_name text, permission text, allowed_scope text[]
) language plpgsql stable as $$
begin
    return query
        select t.hash, t.scopes, a.id, a.slug, a.time_zone,
            c.id, c.client_id, c.account_id, c.name, c.redirect_uris, c.scopes, c.created_at, c.revoked_at,
            u.id, u.account_id, u.email, u.full_name, u.permission, u.allowed_scope
        from dispatcher.tokens t join dispatcher.clients c on c.id = t.client_id
            join dispatcher.accounts a on a.id = t.account_id join dispatcher.users u on u.id = t.user_id
        where t.hash = wanted and t.kind = 'access' and t.revoked_at is null and t.expires_at > dispatcher.now()
            and c.revoked_at is null;
end
$$;
"""

UPGRADE = """
alter function dispatcher_now() rename to now;
create function dispatcher_now() returns timestamptz language sql stable as $$
    select statement_timestamp() + make_interval(secs => coalesce(nullif(current_setting('dispatcher.shift', true), ''), '0')::float8)
$$;

create or replace function new_event_id() returns bigint language plpgsql volatile as $$
declare
    id bigint := nextval('dispatcher.event_counter');
begin
    if (id >> 23) - (date_part('epoch', clock_timestamp())::bigint - 1577836800) between 0 and 60 then
        return id;
    end if;
    return dispatcher.event_id_of_now();
end
$$;

create or replace function event_id_of_now() returns bigint language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
declare
    id bigint;
    second bigint;
begin
    begin
        perform pg_advisory_xact_lock(20200101, 0);
        id := nextval('dispatcher.event_counter');
        second := date_part('epoch', clock_timestamp())::bigint - 1577836800;
        if (id >> 23) - second not between 0 and 60 then
            id := setval('dispatcher.event_counter', second << 23 | (id & 8388607));
        end if;
        raise exception using errcode = 'DI001';
    exception when sqlstate 'DI001' then null;
    end;
    return id;
end
$$;

create or replace function create_partitions(day date) returns void language plpgsql as $$
declare
    suffix text := to_char(day, 'YYYYMMDD');
    first_id bigint := (extract(epoch from day::timestamp)::bigint - 1577836800) << 23;
    last_id bigint := (extract(epoch from (day + 1)::timestamp)::bigint - 1577836800) << 23;
begin
    if to_regclass('dispatcher.events_' || suffix) is null
       and not exists (select from dispatcher.events_default where id >= first_id and id < last_id) then
        execute format('create table dispatcher.events_%s partition of dispatcher.events for values from (%s) to (%s)
                        with (toast_tuple_target = 8160)', suffix, first_id, last_id);
        execute format('create unique index events_%s_key_is_unique on dispatcher.events_%s (account_id, idempotency_key)
                        where idempotency_key is not null', suffix, suffix);
    end if;
    if to_regclass('dispatcher.deliveries_' || suffix) is null
       and not exists (select from dispatcher.deliveries_default where finished_on = day) then
        execute format('create table dispatcher.deliveries_%s partition of dispatcher.deliveries for values in (%L)',
                       suffix, day);
        execute format('create index deliveries_%s_by_webhook on dispatcher.deliveries_%s (webhook_id, id)',
                       suffix, suffix);
    end if;
    if to_regclass('dispatcher.attempts_' || suffix) is null
       and not exists (select from dispatcher.attempts_default where recorded_on = day) then
        execute format('create table dispatcher.attempts_%s partition of dispatcher.attempts for values in (%L)',
                       suffix, day);
    end if;
end
$$;

"""

DOWNGRADE = """
drop function dispatcher_now();
alter function dispatcher.now() rename to dispatcher_now;
"""

upgrade = runs(UPGRADE + _CALLER_OF)
downgrade = runs(DOWNGRADE + _CALLER_OF.replace("dispatcher.now()", "dispatcher.dispatcher_now()"))
