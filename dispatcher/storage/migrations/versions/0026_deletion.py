"""Indexes for the deletion of accounts: Postgres looks for what refers to each row that is deleted, and so do we."""

from dispatcher.storage.migrations.statements import runs

revision = "0026"
down_revision = "0025"

UPGRADE = """
create index tokens_by_account on tokens (account_id);
create index tokens_by_user on tokens (user_id);
create index clients_by_account on clients (account_id);
create index webhooks_of_client on webhooks (client_id) where client_id is not null;
create index replays_by_client on replays (client_id) where client_id is not null;
create index replays_by_webhook on replays (webhook_id) where webhook_id is not null;
create index replay_webhooks_by_webhook on replay_webhooks (webhook_id);
"""

DOWNGRADE = """
drop index tokens_by_account, tokens_by_user, clients_by_account, webhooks_of_client,
    replays_by_client, replays_by_webhook, replay_webhooks_by_webhook;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
