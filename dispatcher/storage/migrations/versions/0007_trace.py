"""Traces: an event keeps the context in which it was emitted, so that its attempts belong to the same trace.

Null where nobody traces, which costs a row nothing.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0007"
down_revision = "0006"

UPGRADE = """
alter table events add column traceparent text;
comment on column events.traceparent is 'W3C Trace Context of the emit; null: not traced';
"""

DOWNGRADE = """
alter table events drop column traceparent;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
