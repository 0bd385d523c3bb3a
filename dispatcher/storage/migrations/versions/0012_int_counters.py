"""Counters of four bytes: 32,767 redeliveries of one delivery made every drain that met it fail. And redeliveries count.

*No row is rewritten.* `alter column ... type int` would rewrite all days of both tables in one transaction that nobody
may read beside: 7 s for a million deliveries, 4 s for a million attempts. So the old columns keep what they have, under
another name, and the new ones begin at 0 with what happens from now on: the count is the sum of both. Adding a column
with a constant default is a matter of the catalogue, 0.2 s for 30 days of both tables. The old columns are all 0 once
what is older than this migration has passed its retention; then a later one may drop them.

A worker of the former release goes on beside this: to it what it claims was never tried before.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0012"
down_revision = "0011"

UPGRADE = """
alter table deliveries rename attempt_count to attempt_count_smallint;
alter table deliveries rename lost_count to lost_count_smallint;
alter table deliveries rename tries_before to tries_before_smallint;
alter table deliveries rename lost_before to lost_before_smallint;
alter table deliveries
    add column attempt_count int not null default 0,
    add column lost_count int not null default 0,
    add column tries_before int not null default 0,
    add column lost_before int not null default 0,
    add column redelivery_count int not null default 0;
comment on column deliveries.attempt_count is 'since migration 0012; to be added to attempt_count_smallint, as all four';
comment on column deliveries.tries_before is 'attempts made before the last replay: they do not count against the tries';
comment on column deliveries.lost_before is 'the same of leases lost';
comment on column deliveries.redelivery_count is 'how often it was made pending again';

alter table attempts rename number to number_smallint;
alter table attempts alter column number_smallint set default 0, add column number int not null default 0;
comment on column attempts.number is 'one of both is 0: number_smallint since migration 0012, number before';
"""

# It is for going back at once, with little stored: these do rewrite the rows.
DOWNGRADE = """
alter table attempts
    alter column number type smallint using least(number + number_smallint, 32767)::smallint,
    alter column number drop default,
    drop column number_smallint;
alter table deliveries
    alter column attempt_count type smallint using least(attempt_count + attempt_count_smallint, 32767)::smallint,
    alter column lost_count type smallint using least(lost_count + lost_count_smallint, 32767)::smallint,
    alter column tries_before type smallint using least(tries_before + tries_before_smallint, 32767)::smallint,
    alter column lost_before type smallint using least(lost_before + lost_before_smallint, 32767)::smallint,
    drop column attempt_count_smallint,
    drop column lost_count_smallint,
    drop column tries_before_smallint,
    drop column lost_before_smallint,
    drop column redelivery_count;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
