"""Tags and metadata of webhooks, for people and for the company's programs: no statement that sends reads them."""

from dispatcher.storage.migrations.statements import runs

revision = "0022"
down_revision = "0021"

UPGRADE = """
alter table webhooks
    add column tags text[],
    add column metadata json constraint webhooks_metadata_is_an_object check (json_typeof(metadata) = 'object');
"""

DOWNGRADE = "alter table webhooks drop column tags, drop column metadata;"

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
