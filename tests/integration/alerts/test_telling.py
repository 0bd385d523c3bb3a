"""People are told what changed: once, in one message, and what was told as failing is told as recovered."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from standardwebhooks import Webhook as Verifier

from dispatcher.access import service_tokens, tenants
from dispatcher.access.rate_limit import ACCOUNT_EMITS, PAYLOADS
from dispatcher.access.users import create_user, delete_user
from dispatcher.alerts.channels import delete_channel, edit_channel, send_test
from dispatcher.alerts.send import MAIL_FAILED
from dispatcher.container import Container
from dispatcher.errors import SecretDecryptionFailed, TooManyTestAlerts
from dispatcher.model.account import Account
from dispatcher.settings import Settings
from dispatcher.storage import alerts as stored
from dispatcher.storage.admin import accounts, alert_channels, webhooks
from dispatcher.storage.admin.service_tokens import FULL
from dispatcher.storage.engine import Storage
from dispatcher.storage.secrets import SecretBox
from dispatcher.webhooks import edit
from dispatcher.webhooks.secrets import encrypt_with_newest_key
from tests.integration.alerts.conftest import Told, a_channel
from tests.support.builders import PASSWORDS, a_webhook, an_account
from tests.support.mail_server import MailServer
from tests.support.receiver import Answer, Authority, Receiver
from tests.support.waiting import eventually

QUIET = {"sent": 0, "failed": 0}
SENT = {"sent": 1, "failed": 0}
FAILED = {"sent": 0, "failed": 1}


def test_a_failing_webhook_is_told_once_and_then_that_it_recovered(
    told: Told, storage: Storage, account: Account, mail_server: MailServer
) -> None:
    hook = a_webhook(storage, account, "https://shop.example/hook/t0ken?key=s3cret")
    a_channel(storage, account)
    told.fails(hook.id)

    assert told.tell() == QUIET  # not for 15 minutes yet
    told.later(16)
    assert told.tell() == SENT
    told.later(16)
    assert told.tell() == QUIET  # nothing has changed
    told.recovers(hook.id)
    assert told.tell() == SENT
    told.later(16)
    assert told.tell() == QUIET

    assert told.subjects == ["1 webhook is failing", "1 recovered"]
    text = mail_server.messages[0].as_string()
    assert f"Webhook {hook.id} (shop.example) has failed since" in text
    assert f"https://hooks.example.com/console/accounts/applecorp/webhooks/{hook.id}" in text
    assert "s3cret" not in text
    assert "t0ken" not in text
    assert mail_server.recipients == ["TO:<ops@example.com>"] * 2


def test_500_webhooks_that_fail_are_one_message_and_the_next_waits_for_its_time(
    told: Told, storage: Storage, account: Account
) -> None:
    hooks = [a_webhook(storage, account).id for _ in range(3)]
    told.sql(
        """insert into dispatcher.webhooks (account_id, webhook_url, signing_secret_encrypted, events, payload_version)
        select account_id, webhook_url, signing_secret_encrypted, events, payload_version
        from dispatcher.webhooks, generate_series(1, 499) where id = %(id)s""",
        id=hooks[0],
    )
    a_channel(storage, account, alerts=["failing", "disabled"])
    told.sql("update dispatcher.webhooks set failing_since = dispatcher.now() where id <> all (%(ids)s)", ids=hooks[1:])
    told.later(20)
    assert told.tell() == SENT

    for id_ in hooks[1:]:
        storage.transact(webhooks.deactivate, id_, "the receiver answered 410 Gone")
    assert told.tell() == QUIET  # a message was sent a moment ago
    told.later(16)
    assert told.tell() == SENT

    assert told.subjects == ["500 webhooks are failing", "2 webhooks were disabled"]
    assert told.mail_server.connections == 2


def test_a_recovery_that_nobody_was_told_to_wait_for_is_not_told(
    told: Told, storage: Storage, account: Account
) -> None:
    failing, disabled, paused, edited = (a_webhook(storage, account) for _ in range(4))
    a_channel(storage, account, failing_after_minutes=1)
    told.fails(failing.id)
    told.recovers(failing.id)
    assert told.tell() == QUIET

    told.fails(paused.id, edited.id)
    told.later(2)
    assert told.tell() == SENT
    schedule = told.container.schedule
    edit.edit_webhook(storage, schedule, account.slug, paused.id, {"active": False})
    edit.edit_webhook(storage, schedule, account.slug, edited.id, {"description": "new"})
    told.later(20)
    assert told.tell() == QUIET  # its owner paused one; of the other nobody knows yet
    told.recovers(edited.id)
    assert told.tell() == SENT
    edit.delete_webhook(storage, account.slug, disabled.id)
    assert told.subjects == ["2 webhooks are failing", "1 recovered"]
    assert told.sql("select * from dispatcher.alerts_sent") == []


def test_each_account_hears_of_its_own_and_operators_of_all(told: Told, storage: Storage, account: Account) -> None:
    other = an_account(storage, "pearcorp")
    hooks = {one.slug: a_webhook(storage, one).id for one in (account, other)}
    a_channel(storage, account, "apple@example.com")
    a_channel(storage, other, "pear@example.com")
    a_channel(storage, None, "ops@example.com", alerts=["failing"])
    told.sql(
        "update dispatcher.webhooks set webhook_url = 'https://[no/s3cret' where id = %(id)s", id=hooks["pearcorp"]
    )
    told.fails(*hooks.values())
    told.later(16)
    told.tell()

    mails = {str(one["To"]): one.as_string() for one in told.mail_server.messages}
    assert mails.keys() == {"apple@example.com", "pear@example.com", "ops@example.com"}
    assert "pearcorp" not in mails["apple@example.com"]
    assert "applecorp" not in mails["pear@example.com"]
    assert all(slug in mails["ops@example.com"] for slug in hooks)
    assert "s3cret" not in mails["ops@example.com"] + mails["pear@example.com"]
    assert told.mail_server.connections == 1


def test_slack_and_webhooks_get_json_and_the_latter_is_signed(
    told: Told, storage: Storage, account: Account, receiver: Receiver
) -> None:
    hook = a_webhook(storage, account, "https://<!channel>.example/")
    slack = receiver.script("/slack/T0/B0", Answer())
    generic = receiver.script("/alerts", Answer())
    a_channel(storage, account, slack, "slack")
    channel = a_channel(storage, account, generic, "webhook")
    dotted = a_channel(storage, account, "o..ps.@example.com")  # HTML has it as an address; Python's parser has not
    told.fails(hook.id)
    told.later(16)
    assert told.tell() == {"sent": 3, "failed": 0}
    assert str(told.mail_server.messages[0]["To"]) == dotted.target

    came = {one.path: one for one in receiver.requests}
    assert "&lt;!channel&gt;.example" in json.loads(came["/slack/T0/B0"].body)["text"]
    verified: Any = Verifier(channel.signing_secret or "").verify(
        came["/alerts"].body, {name.lower(): value for name, value in came["/alerts"].headers}
    )
    assert verified["type"] == "alerts"
    assert verified["data"]["count"] == 1
    (alert,) = verified["data"]["alerts"]
    assert (alert["kind"], alert["webhook_id"], alert["account"]) == ("failing", hook.id, "applecorp")


def test_what_was_sent_and_could_not_be_noted_comes_again_with_the_same_id(
    told: Told, storage: Storage, account: Account, receiver: Receiver
) -> None:
    hook = a_webhook(storage, account)
    a_channel(storage, account, receiver.script("/again", Answer()), "webhook")
    told.fails(hook.id)
    told.later(16)
    told.sql("alter table dispatcher.alerts_sent add constraint none check (kind is null) not valid")
    assert told.tell() == SENT
    told.sql("alter table dispatcher.alerts_sent drop constraint none")
    assert told.tell() == QUIET  # as where the task had died: its lease is to end first
    told.later(6)
    assert told.tell() == SENT
    told.later(16)
    assert told.tell() == QUIET

    first, second = (dict(one.headers) for one in receiver.requests if one.path == "/again")
    assert first["webhook-id"] == second["webhook-id"]


def test_a_mail_server_that_fails_is_asked_once_and_later_and_nothing_is_lost(
    told: Told, storage: Storage, account: Account, mail_server: MailServer
) -> None:
    hook = a_webhook(storage, account)
    a_channel(storage, account)
    told.sql(
        """insert into dispatcher.alert_channels (account_id, name, type, email, alerts, failing_after_minutes)
        select account_id, n, type, n || '@example.com', alerts, failing_after_minutes
        from dispatcher.alert_channels, generate_series(1, 59) n"""
    )
    told.fails(hook.id)
    told.later(16)
    mail_server.hangs_up = True
    assert told.tell() == {"sent": 0, "failed": 60}
    assert mail_server.connections == 2  # one of each task
    assert told.sql("select distinct last_error from dispatcher.alert_channels") == [(MAIL_FAILED,)]
    assert told.tell() == QUIET  # not before a minute
    mail_server.forget()
    told.later(2)
    assert told.tell() == {"sent": 60, "failed": 0}
    assert told.sql("select distinct failures, last_error from dispatcher.alert_channels") == [(0, None)]


def test_a_refused_recipient_costs_the_others_nothing_and_waits_longer_each_time(
    told: Told, storage: Storage, account: Account, mail_server: MailServer
) -> None:
    hook, channel = a_webhook(storage, account), a_channel(storage, account)
    told.fails(hook.id)
    told.later(16)
    mail_server.refusal = "550 no\0such\tuser"
    assert told.tell() == FAILED
    told.later(1.1)
    assert told.tell() == FAILED
    told.later(1.1)
    assert told.tell() == QUIET
    (error,) = told.sql("select failures, last_error from dispatcher.alert_channels")
    assert error == (2, "the mail server answered 550 no such user")

    a_channel(storage, account, "other@example.com")
    edit_channel(storage, account.id, channel.id, {"target": "right@example.com"})
    mail_server.refusal = "421 not now"  # which ends the connection
    assert told.tell() == {"sent": 0, "failed": 2}
    errors = told.sql("select distinct last_error from dispatcher.alert_channels")
    assert errors == [("the mail server answered 421 not now",)]
    told.sql("delete from dispatcher.alert_channels where id <> %(id)s", id=channel.id)
    edit_channel(storage, account.id, channel.id, {"name": "right"})
    mail_server.refusal = ""
    assert told.tell() == SENT


def test_an_address_that_is_not_public_is_not_sent_to(
    told: Told, storage: Storage, account: Account, receiver: Receiver
) -> None:
    hook = a_webhook(storage, account)
    a_channel(storage, account, "http://10.0.0.1/", "slack")
    a_channel(
        storage, account, receiver.script("/moved", Answer(status=302, headers=[("Location", "/slack")])), "slack"
    )
    told.fails(hook.id)
    told.later(16)

    assert told.tell() == {"sent": 0, "failed": 2}
    errors = {error for _, error in told.sql("select id, last_error from dispatcher.alert_channels")}
    assert errors == {"the host has no address that may be connected to", "302"}


def test_quotas_that_were_reached_are_told_to_whose_they_are(told: Told, storage: Storage, account: Account) -> None:
    a_channel(storage, account)
    a_channel(storage, None, "operators@example.com")
    token, _ = service_tokens.create(storage, "billing", FULL, None)
    storage.transact(stored.reach_quotas, [(account.id, "account_emits"), (-token.id, "emits"), (99, "emits")])
    assert told.tell() == {"sent": 2, "failed": 0}
    told.later(50)
    storage.transact(stored.reach_quotas, [(account.id, "account_emits")])
    told.later(20)
    assert told.tell() == QUIET  # it has not ended for an hour
    told.later(70)
    assert told.tell() == QUIET
    storage.transact(stored.reach_quotas, [(account.id, "account_emits")])
    assert told.tell() == {"sent": 2, "failed": 0}
    assert told.subjects == [
        "1 quota was reached",
        "2 quotas were reached",
        "1 quota was reached",
        "1 quota was reached",
    ]


def test_operators_hear_of_outboxes_and_backlogs(told: Told, storage: Storage, account: Account) -> None:
    a_channel(storage, None)
    told.sql("insert into dispatcher.outboxes (name) values ('orders')")
    hook = a_webhook(storage, account)
    told.sql("insert into dispatcher.events_waiting (event_id, account_id, name, recorded_at)"
             " values (1, %(id)s, 'x', now() - interval '6 minutes')", id=account.id)  # fmt: skip
    assert told.tell() == SENT
    told.sql("delete from dispatcher.events_waiting")
    told.sql("update dispatcher.outboxes set checked_at = clock_timestamp()")
    told.later(16)
    assert told.tell() == SENT
    told.later(16)
    assert told.tell() == QUIET
    assert told.subjects == ["1 backlog is overdue, 1 outbox is down", "2 recovered"]
    assert hook.active


def test_nothing_is_told_to_channels_that_are_paused_or_deleted(told: Told, storage: Storage, account: Account) -> None:
    hook = a_webhook(storage, account)
    paused, deleted = a_channel(storage, account, active=False), a_channel(storage, account, "gone@example.com")
    told.fails(hook.id)
    told.later(16)
    (ids,) = told.look_out()
    delete_channel(storage, account.id, deleted.id)

    assert told.alerts.send([*ids, paused.id]) == QUIET
    assert told.mail_server.messages == []


def test_a_channel_ends_with_its_user_and_with_its_account_and_its_secrets_are_rotated(
    told: Told, storage: Storage, account: Account, settings: Settings
) -> None:
    email = "ann@example.com"
    create_user(storage, PASSWORDS, account.slug, email, full_name="Ann", permission="read", password=None)
    a_channel(storage, account, email)
    owners = a_channel(storage, account, "applecorp@dispatcher.example")
    storage.transact(accounts.edit, account.id, owner_email="new@example.com")
    assert storage.read(alert_channels.find, storage.secrets, account.id, owners.id).target == "new@example.com"
    delete_channel(storage, account.id, owners.id)
    a_channel(storage, account, "https://hooks.slack.com/x", "slack")
    ours = a_channel(storage, None, "https://pager.example.com/", "webhook")
    newer = SecretBox((Fernet.generate_key().decode(), *settings.secret_keys))
    old, storage.secrets = storage.secrets, newer
    encrypt_with_newest_key(storage)
    assert storage.read(alert_channels.find, newer, None, ours.id).signing_secret == ours.signing_secret
    with pytest.raises(SecretDecryptionFailed):
        storage.read(alert_channels.find, old, None, ours.id)

    delete_user(storage, account.slug, email)
    assert told.sql("select type from dispatcher.alert_channels where account_id is not null") == [("slack",)]
    tenants.delete(storage, account.slug)
    assert told.sql("select type from dispatcher.alert_channels") == [("webhook",)]


def test_requests_over_a_quota_are_noted_in_the_background(told: Told, storage: Storage, account: Account) -> None:
    access = told.container.access
    for quota in (ACCOUNT_EMITS, PAYLOADS):
        for _ in range(3):
            access.limiter.spend(account.id, quota, 2)
    eventually(lambda: told.sql("select quota from dispatcher.quotas_reached"), what="a note")

    assert told.sql("select owner_id, quota from dispatcher.quotas_reached") == [(account.id, "account_emits")]


def test_mail_goes_out_over_starttls_to_a_server_whose_certificate_is_good(
    storage: Storage, account: Account, container: Container, settings: Settings, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    authority, channel = Authority(), a_channel(storage, None)
    with MailServer(authority.tls()) as server:
        secure = replace(settings, smtp_port=server.port, smtp_tls="starttls", smtp_user="us", smtp_password="s3cret")
        unknown = send_test(storage, container.senders, secure, None, channel.id)
        assert unknown == "the mail server cannot be used: SSLCertVerificationError"
        with pytest.raises(TooManyTestAlerts):
            send_test(storage, container.senders, secure, None, channel.id)

        monkeypatch.setenv("SSL_CERT_FILE", authority.write_ca(tmp_path))
        other = a_channel(storage, account, "other@example.com")
        assert send_test(storage, container.senders, secure, account.id, other.id) is None
        assert "This is a test" in str(server.messages[0]["Subject"])
        assert len(server.logins) == 1
