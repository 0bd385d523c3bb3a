"""Subscriptions by wildcard: as patterns of LIKE beside the names, so that only webhooks with one pay for them.

`events` holds both as their owner wrote them.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0018"
down_revision = "0017"

UPGRADE = """
alter table webhooks add column event_patterns text[];
comment on column webhooks.event_patterns is 'the wildcards of events, as LIKE has them; null: none';
"""

DOWNGRADE = "alter table webhooks drop column event_patterns"

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
