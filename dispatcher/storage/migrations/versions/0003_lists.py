"""For lists that people ask for: an account's events and its deliveries.

The first costs one more entry for each event; without it the activity log would read the events of all accounts.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0003"
down_revision = "0002"

UPGRADE = """
-- The activity log, newest first.
create index events_by_account on events (account_id, id);
-- An account's deliveries: also those to webhooks that were deleted since.
create index webhooks_of_account on webhooks (account_id);
"""

DOWNGRADE = """
drop index webhooks_of_account;
drop index events_by_account;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
