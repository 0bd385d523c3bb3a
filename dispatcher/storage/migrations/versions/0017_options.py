"""What the sender goes by where a webhook differs from the settings: one column, null for most webhooks.

An object of the options that were set (`dispatcher.model.options`); each secret in it is a text of its own, encrypted.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0017"
down_revision = "0016"

UPGRADE = """
alter table webhooks
    add column options json constraint webhooks_options_are_an_object check (json_typeof(options) = 'object');
comment on column webhooks.options is 'what the sender goes by, where it was set; secrets in it are encrypted';
"""

DOWNGRADE = "alter table webhooks drop column options;"

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
