"""Webhooks by the company's own ids: two may have one URL, and a file that names a webhook may change its URL."""

from dispatcher.storage.migrations.statements import runs

revision = "0020"
down_revision = "0019"

UPGRADE = """
alter table webhooks add column uid text;
comment on column webhooks.uid is 'the company''s own id of it, of its account';
create unique index webhooks_uid_is_unique on webhooks (account_id, uid) where deleted_at is null and uid is not null;
"""

DOWNGRADE = "alter table webhooks drop column uid;"

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
