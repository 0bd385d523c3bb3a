"""The audit log: who did what, written in the transaction that did it.

*No foreign keys*: an entry outlives what it tells of, and who did it.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0025"
down_revision = "0024"

UPGRADE = """
create table audit_log (
    id bigint generated always as identity primary key,
    created_at timestamptz not null default dispatcher.now(),
    account_id int,
    actor_kind text not null constraint audit_log_actors_are_known
        check (actor_kind in ('user', 'client', 'service_token', 'command', 'system')),
    actor_id int,
    actor_name text not null,
    action text not null,
    subject text not null,
    details json not null
);
comment on column audit_log.account_id is 'null: of no account, or of one that is deleted';
create index audit_log_by_account on audit_log (account_id, id);
create index audit_log_by_age on audit_log (created_at);
"""

DOWNGRADE = "drop table audit_log;"

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
