"""The HTTP API: users who agree, clients that call, their tokens, and what a webhook has beyond API v3.

*Secrets, codes and tokens are stored as SHA-256 hashes only.* They are 160 or 320 random bits, so no slow hash is
needed, and the unique index on the hash finds a token in one look. Passwords, which people choose, have argon2's.

*A token knows what it came from* (`parent_id`: an access token its refresh token, a refresh token its code), so that
revoking one ends all that was made of it.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0002"
down_revision = "0001"

UPGRADE = """
alter table accounts
    add column settings jsonb not null default '{}'
        constraint accounts_settings_are_an_object check (jsonb_typeof(settings) = 'object'),
    add column updated_at timestamptz not null default now();
update accounts set updated_at = created_at;
comment on column accounts.settings is 'the attributes of account.json that differ from the defaults of schemas/account.py';

create table users (
    id int generated always as identity primary key,
    account_id int not null references accounts (id),
    email text not null,
    full_name text not null,
    permission text not null constraint users_permission_is_known check (permission in ('owner', 'read')),
    allowed_scope text[] not null default '{reports,expenses,invoices}',
    password_hash text,
    sign_ins smallint not null default 0,
    sign_ins_since timestamptz,
    created_at timestamptz not null default now()
);
comment on column users.sign_ins is 'tries to sign in since sign_ins_since; a right password sets it back';
create unique index users_are_one_owner_per_account on users (account_id) where permission = 'owner';
create unique index users_email_is_unique on users (account_id, lower(email));
-- For signing in by e-mail.
create index users_by_email on users (lower(email));

insert into users (account_id, email, full_name, permission)
select id, 'owner@' || slug || '.invalid', slug, 'owner' from accounts order by id;

create table clients (
    id int generated always as identity primary key,
    account_id int not null references accounts (id),
    client_id text not null constraint clients_client_id_is_unique unique,
    secret_hash bytea not null,
    name text not null,
    redirect_uris text[] not null default '{}',
    scopes text[] not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
comment on column clients.redirect_uris is 'empty: client credentials; else authorization code';

create table tokens (
    id bigint generated always as identity primary key,
    hash bytea not null constraint tokens_hash_is_unique unique,
    kind text not null constraint tokens_kind_is_known check (kind in ('code', 'access', 'refresh')),
    client_id int not null references clients (id),
    account_id int not null references accounts (id),
    user_id int not null references users (id),
    scopes text[] not null,
    parent_id bigint references tokens (id) on delete set null,
    redirect_uri text,
    code_challenge text,
    code_challenge_method text,
    expires_at timestamptz,
    used_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default dispatcher_now()
);
comment on column tokens.expires_at is 'null: never (refresh tokens)';
-- For revoking, with all that was made of it; and so that a deleted parent is not looked for in every row.
create index tokens_by_parent on tokens (parent_id) where parent_id is not null;
create index tokens_by_client on tokens (client_id);
-- For the prune.
create index tokens_by_expiry on tokens (expires_at) where expires_at is not null;

-- Who calls with an access token that lives: its hash and scopes, the account, and then the columns of `storage/clients.py`
-- and `storage/users.py` in their order. In PL/pgSQL, which keeps the plan. Index: tokens_hash_is_unique.
create function caller_of(wanted bytea) returns table (
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
        from tokens t join clients c on c.id = t.client_id join accounts a on a.id = t.account_id
            join users u on u.id = t.user_id
        where t.hash = wanted and t.kind = 'access' and t.revoked_at is null and t.expires_at > dispatcher_now()
            and c.revoked_at is null;
end
$$;

alter table webhooks
    add column client_id int references clients (id),
    add column description text,
    add column rate_limit int constraint webhooks_rate_limit_is_positive check (rate_limit > 0),
    add column signing text not null default 'standard'
        constraint webhooks_signing_is_known check (signing in ('standard', 'none'));
-- For a webhook's failed deliveries: a partial index, so that a delivery that goes well costs nothing more.
create index deliveries_failed on deliveries (webhook_id, id) where state = 'failed';
comment on column webhooks.client_id is 'whose webhook it is; null: made by the command';
comment on column webhooks.rate_limit is 'requests per second; null: no limit';
-- For a client's own webhooks, page by page.
create index webhooks_by_client on webhooks (client_id, account_id, id) where deleted_at is null;
"""

DOWNGRADE = """
drop index deliveries_failed;
alter table webhooks drop column client_id, drop column description, drop column rate_limit, drop column signing;
drop function caller_of;
drop table tokens, clients, users;
alter table accounts drop column settings, drop column updated_at;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
