"""Accounts over HTTP: service tokens, the company's own ids, limits of an account, and the end of an account.

*An account is known by the company's own id* (`external_id`), or by its slug where it has none: the index on both is
what keeps such an id from being another account's slug.

*A deleted account is left as a tombstone* until all of it is erased, with a slug that no account can have.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0014"
down_revision = "0013"

UPGRADE = """
create table service_tokens (
    id int generated always as identity primary key,
    hash bytea not null constraint service_tokens_hash_is_unique unique,
    name text not null,
    scopes text[] not null,
    created_at timestamptz not null default dispatcher.now(),
    expires_at timestamptz,
    rotated_at timestamptz,
    revoked_at timestamptz
);
comment on column service_tokens.hash is 'SHA-256 of the token: 256 random bits';

create table idempotent_requests (
    service_token_id int not null references service_tokens (id) on delete cascade,
    key text not null,
    fingerprint bytea not null,
    response_encrypted text,
    created_at timestamptz not null default dispatcher.now(),
    primary key (service_token_id, key)
);
comment on column idempotent_requests.response_encrypted is 'null: the request is under way; it may hold new secrets';
create index idempotent_requests_by_age on idempotent_requests (created_at);

alter table accounts
    add column external_id text,
    add column requests_per_minute int constraint accounts_requests_are_positive check (requests_per_minute > 0),
    add column emits_per_minute int constraint accounts_emits_are_positive check (emits_per_minute > 0),
    add column retention_days int constraint accounts_retention_is_positive check (retention_days > 0),
    add column ended_at timestamptz;
comment on column accounts.external_id is 'the company''s own id of it; null: its slug';
comment on column accounts.ended_at is 'a tombstone, until all of it is erased';
create unique index accounts_external_id_is_unique on accounts (coalesce(external_id, slug));
-- For the hourly prune, which finds none most of the time.
create index accounts_to_erase on accounts (id) where ended_at is not null or retention_days is not null;

-- `caller_of`, which workers of the release before use, with the account's limits at the end.
create function api_caller(wanted bytea) returns table (
    hash bytea, scopes text[], account_id int, slug text, time_zone text,
    id int, client_id text, clients_account_id int, name text, redirect_uris text[], client_scopes text[],
    created_at timestamptz, revoked_at timestamptz,
    user_id int, users_account_id int, email text, full_name text, permission text, allowed_scope text[],
    requests_per_minute int, emits_per_minute int
) language plpgsql stable as $$
begin
    return query
        select t.hash, t.scopes, a.id, a.slug, a.time_zone,
            c.id, c.client_id, c.account_id, c.name, c.redirect_uris, c.scopes, c.created_at, c.revoked_at,
            u.id, u.account_id, u.email, u.full_name, u.permission, u.allowed_scope,
            a.requests_per_minute, a.emits_per_minute
        from dispatcher.tokens t join dispatcher.clients c on c.id = t.client_id
            join dispatcher.accounts a on a.id = t.account_id
            join dispatcher.users u on u.id = t.user_id
        where t.hash = wanted and t.kind = 'access' and t.revoked_at is null and t.expires_at > dispatcher.now()
            and c.revoked_at is null;
end
$$;
"""

DOWNGRADE = """
drop function api_caller;
alter table accounts
    drop column external_id,
    drop column requests_per_minute,
    drop column emits_per_minute,
    drop column retention_days,
    drop column ended_at;
drop table idempotent_requests, service_tokens;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
