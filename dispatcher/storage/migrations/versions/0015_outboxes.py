"""Outboxes: which databases of services are drained, by whom, and what of each was taken in last."""

from dispatcher.storage.migrations.statements import runs

revision = "0015"
down_revision = "0014"

UPGRADE = """
create table outboxes (
    name text primary key,
    taker bigint,
    taker_until timestamptz not null default '-infinity',
    taken bigint[] not null default '{}',
    checked_at timestamptz,
    pending int,
    oldest_age_s float8,
    failed int,
    error text
) with (fillfactor = 50);
comment on column outboxes.taker is 'the number of the process that drains it until taker_until';
comment on column outboxes.taken is 'events of it that are stored here and may still be in it';
"""

DOWNGRADE = """
drop table outboxes;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
