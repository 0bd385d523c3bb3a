"""The portal: sessions of customers, which begin with a link, and how the portal of an account looks.

The audit log's condition is not checked for the rows that there are: they had a narrower one.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0030"
down_revision = "0029"

UPGRADE = """
alter table accounts add column portal json not null default '{}';
comment on column accounts.portal is 'who may frame the portal, and its theme';

create table portal_sessions (
    id int generated always as identity primary key,
    account_id int not null references accounts (id) on delete cascade,
    link_hash bytea not null unique,
    cookie_hash bytea unique,
    role text not null constraint portal_sessions_roles_are_known check (role in ('read', 'manage')),
    label text,
    theme json not null,
    return_url text,
    lifetime interval not null,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    ends_at timestamptz not null,
    constraint portal_sessions_start_with_a_cookie check ((started_at is null) = (cookie_hash is null))
);
comment on column portal_sessions.link_hash is 'SHA-256 of the token in the link';
comment on column portal_sessions.cookie_hash is 'SHA-256 of what the cookie holds; null: the link was not used yet';
comment on column portal_sessions.ends_at is 'of the link, and once it was used of the session';
create index portal_sessions_by_account on portal_sessions (account_id, id);
create index portal_sessions_by_end on portal_sessions (ends_at);

alter table audit_log drop constraint audit_log_actors_are_known;
alter table audit_log add constraint audit_log_actors_are_known
    check (actor_kind in ('user', 'client', 'service_token', 'portal_session', 'command', 'system')) not valid;

-- Operators who may only read; the identity provider says who that is.
alter table users drop constraint users_permission_is_known;
alter table users drop constraint users_without_account_are_operators;
alter table users add constraint users_permission_is_known
    check (permission in ('owner', 'write', 'read', 'operator', 'operator_read'));
alter table users add constraint users_without_account_are_operators
    check ((account_id is null) = (permission in ('operator', 'operator_read')));
"""

DOWNGRADE = """
delete from users where permission = 'operator_read';
alter table users drop constraint users_without_account_are_operators;
alter table users drop constraint users_permission_is_known;
alter table users add constraint users_permission_is_known
    check (permission in ('owner', 'write', 'read', 'operator'));
alter table users add constraint users_without_account_are_operators
    check ((account_id is null) = (permission = 'operator'));
delete from audit_log where actor_kind = 'portal_session';
alter table audit_log drop constraint audit_log_actors_are_known;
alter table audit_log add constraint audit_log_actors_are_known
    check (actor_kind in ('user', 'client', 'service_token', 'command', 'system'));
drop table portal_sessions;
alter table accounts drop column portal;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
