"""Who of the console's users may see personal fields of payloads; and how many payloads retention has erased."""

from dispatcher.storage.migrations.statements import runs

revision = "0033"
down_revision = "0032"

UPGRADE = """
alter table users add column sees_personal boolean;
alter table payload_retentions add column erased bigint not null default 0;
comment on column users.sees_personal is 'null: owners and who may write do; others, and operators, do not';
"""

DOWNGRADE = "alter table payload_retentions drop column erased; alter table users drop column sees_personal;"

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
