"""When client certificates of webhooks expire, so that metrics can count those that soon do: they are encrypted."""

from dispatcher.storage.migrations.statements import runs

revision = "0032"
down_revision = "0031"

UPGRADE = """
alter table webhooks add column certificate_expires_at timestamptz;
comment on column webhooks.certificate_expires_at is 'of the client certificate among its options';
create index webhooks_by_certificate on webhooks (certificate_expires_at)
    where certificate_expires_at is not null and deleted_at is null;
"""

DOWNGRADE = """
alter table webhooks drop column certificate_expires_at;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
