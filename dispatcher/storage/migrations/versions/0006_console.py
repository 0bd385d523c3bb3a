"""The console: who is signed in, operators, and figures that are cheap to show.

*Figures are counted once, by the workers, a few seconds after they happened*, and kept by minute and by hour: a page
that asks every few seconds reads some dozens of small rows, whatever was delivered meanwhile. What was finished since
the last count is found by BRIN indexes, which cost a write next to nothing: both tables grow in the order of time.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0006"
down_revision = "0005"

UPGRADE = """
-- Operators see all accounts and belong to none. Who may `write` does what the owner does, but cannot agree for a client.
alter table users alter column account_id drop not null;
alter table users drop constraint users_permission_is_known;
alter table users add constraint users_permission_is_known
    check (permission in ('owner', 'write', 'read', 'operator'));
alter table users add constraint users_without_account_are_operators
    check ((account_id is null) = (permission = 'operator'));
create unique index users_operators_email_is_unique on users (lower(email)) where account_id is null;

create table sessions (
    hash bytea primary key,
    user_id int not null references users (id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
comment on column sessions.hash is 'SHA-256 of what the cookie holds';
create index sessions_by_user on sessions (user_id);
create index sessions_by_expiry on sessions (expires_at);

create table figures_until (
    until timestamptz not null,
    is_the_only_one boolean primary key default true check (is_the_only_one)
);
comment on column figures_until.until is 'what was finished by then is counted';
insert into figures_until (until) values (dispatcher_now());

-- account_id 0: all of them. failed_attempts: requests that did not succeed, whatever became of their delivery.
create table figures_by_minute (
    account_id int not null,
    minute timestamptz not null,
    delivered int not null default 0,
    failed int not null default 0,
    failed_attempts int not null default 0,
    primary key (account_id, minute)
);
create index figures_by_minute_old on figures_by_minute (minute);
-- bucket n: up to 1.25^n ms from the delivery's creation to its success.
create table times_by_minute (
    account_id int not null,
    minute timestamptz not null,
    bucket smallint not null,
    deliveries int not null,
    primary key (account_id, minute, bucket)
);
create index times_by_minute_old on times_by_minute (minute);
create table figures_by_hour (
    webhook_id int not null,
    hour timestamptz not null,
    delivered int not null default 0,
    failed int not null default 0,
    failed_attempts int not null default 0,
    primary key (webhook_id, hour)
);
create index figures_by_hour_old on figures_by_hour (hour);

-- For the count of what was finished, and for an event's deliveries. Not on what waits: the condition leaves it out.
create index deliveries_by_finish on deliveries
    using brin (updated_at, event_id int8_minmax_multi_ops) with (pages_per_range = 32, autosummarize = on)
    where finished_on is not null;
create index attempts_by_finish on attempts
    using brin (finished_at) with (pages_per_range = 32, autosummarize = on);

-- For the overview, which names those first.
create index webhooks_in_trouble on webhooks (account_id, id)
    where deleted_at is null and (failing_since is not null or deactivated_at is not null);
"""

DOWNGRADE = """
drop index webhooks_in_trouble;
drop index attempts_by_finish;
drop index deliveries_by_finish;
drop table figures_by_hour, times_by_minute, figures_by_minute, figures_until, sessions;
drop index users_operators_email_is_unique;
delete from users where account_id is null;
update users set permission = 'read' where permission = 'write';
alter table users drop constraint users_without_account_are_operators;
alter table users drop constraint users_permission_is_known;
alter table users add constraint users_permission_is_known check (permission in ('owner', 'read'));
alter table users alter column account_id set not null;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
