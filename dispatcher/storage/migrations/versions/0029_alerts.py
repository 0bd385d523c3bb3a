"""Alerts to people: the channels, what each has been told, and which quotas were reached."""

from dispatcher.storage.migrations.statements import runs

revision = "0029"
down_revision = "0028"

UPGRADE = """
create table alert_channels (
    id int generated always as identity primary key,
    account_id int references accounts,
    name text not null,
    type text not null constraint alert_channels_types_are_known check (type in ('email', 'slack', 'webhook')),
    email text,
    url_encrypted text,
    signing_secret_encrypted text,
    alerts text[] not null,
    failing_after_minutes int not null,
    active boolean not null default true,
    due_at timestamptz not null default '-infinity',
    failures int not null default 0,
    last_sent_at timestamptz,
    last_error text,
    tested_at timestamptz,
    created_at timestamptz not null default dispatcher.now(),
    updated_at timestamptz not null default dispatcher.now(),
    constraint alert_channels_have_one_target check ((email is null) <> (url_encrypted is null)),
    constraint alert_channels_of_webhooks_sign check ((type = 'webhook') = (signing_secret_encrypted is not null))
);
comment on column alert_channels.account_id is 'null: the operators''';
comment on column alert_channels.due_at is 'not sent to before; while it is sent to, the end of the lease';
create unique index alert_channels_name_is_unique on alert_channels (coalesce(account_id, 0), name);
create index alert_channels_by_account on alert_channels (account_id);

-- Of what a channel was notified, until it is notified that it is over.
create table alerts_sent (
    channel_id int not null references alert_channels on delete cascade,
    subject text not null,
    kind text not null,
    since timestamptz not null,
    sent_at timestamptz not null default dispatcher.now(),
    webhook_id int,
    delivered int not null default 0,
    primary key (channel_id, subject)
);
comment on column alerts_sent.delivered is 'figures_by_hour of the webhook in that hour: with more it has recovered';

create table quotas_reached (
    owner_id int not null,
    quota text not null,
    since timestamptz not null default dispatcher.now(),
    reached_at timestamptz not null default dispatcher.now(),
    primary key (quota, owner_id)
);
comment on column quotas_reached.owner_id is
    'of account_emits an account; else a client, or a service token as a negative number';
comment on column quotas_reached.since is 'begins anew after an hour in which it was not reached';
"""

DOWNGRADE = "drop table quotas_reached, alerts_sent, alert_channels;"

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
