"""Versions of events: an event keeps the version of its body, where that is not the first.

Null where it is, which costs a row nothing.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0023"
down_revision = "0022"

UPGRADE = """
alter table events add column version smallint constraint events_version_is_not_the_first check (version > 1);
comment on column events.version is 'of the body, in the catalogue; null: the first';
"""

DOWNGRADE = "alter table events drop column version;"

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
