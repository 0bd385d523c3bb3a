"""SECRET_KEYS that do not open a webhook's secrets: an operator's slip, for which no delivery and no receiver pays."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from dispatcher.container import Container
from dispatcher.errors import SecretDecryptionFailed
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline.startup import check
from dispatcher.settings import Settings
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Storage
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import a_webhook
from tests.support.fakes import FakeQueue
from tests.support.receiver import Receiver


@pytest.fixture
def hook(storage: Storage, account: Account, receiver: Receiver) -> Webhook:
    return a_webhook(storage, account, receiver.url("/hook"), auth_header="Bearer abc")


@pytest.fixture
def wrong(settings: Settings, queue: FakeQueue) -> Iterator[Container]:
    """A worker with another key."""
    container = Container(replace(settings, secret_keys=(Fernet.generate_key().decode(),)))
    yield container
    container.close()


def of_rows(flow: Flow) -> list[Any]:
    return flow.sql(
        "select d.state, d.attempt_count, d.lost_count, d.lease_token is null, d.next_attempt_at <= now(),"
        " w.active, w.failing_since is null, (select count(*) from dispatcher.attempts)"
        " from dispatcher.deliveries d join dispatcher.webhooks w on w.id = d.webhook_id order by d.id"
    )


def counted(container: Container) -> int:
    container.counters.send()
    return container.counters.read().get("secrets_unreadable", 0)


def test_its_deliveries_wait_uncounted_and_nobody_blames_the_receiver(
    flow: Flow, wrong: Container, hook: Webhook, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    flow.emit()
    flow.fan_out()

    counts = wrong.drain_runner.run([hook.id])
    assert (counts.delivered, counts.retrying, counts.failed) == (0, 0, 0)
    assert of_rows(flow) == [("pending", 0, 0, True, True, True, True, 0)]
    assert receiver.requests == []
    assert wrong.schedule.healths([hook.id]) == {}
    assert f"webhook.secret_decryption_failed webhook_id={hook.id}" in caplog.text


def test_the_webhook_is_paused_for_a_minute_and_counted_for_the_alert(
    flow: Flow, wrong: Container, hook: Webhook
) -> None:
    flow.emit()
    flow.fan_out()

    wrong.drain_runner.run([hook.id])
    assert wrong.schedule.pauses() == {hook.id: pytest.approx(60, abs=5)}
    assert wrong.schedule.hand_out([hook.id], 100) == []
    assert counted(wrong) == 1


def test_with_the_right_key_it_is_delivered_at_its_first_attempt(
    flow: Flow, container: Container, wrong: Container, hook: Webhook, receiver: Receiver
) -> None:
    flow.emit()
    flow.fan_out()
    wrong.drain_runner.run([hook.id])

    container.schedule.resume([hook.id])  # a minute later
    assert container.drain_runner.run([hook.id]).delivered == 1
    assert flow.statuses() == [["200"]]
    assert ("Authorization", "Bearer abc") in receiver.requests[0].headers


def test_one_such_webhook_does_not_stop_the_others_of_the_chunk(
    flow: Flow, container: Container, storage: Storage, account: Account, hook: Webhook, receiver: Receiver
) -> None:
    fine = a_webhook(storage, account, receiver.url("/fine"))
    flow.sql("update dispatcher.webhooks set signing_secret_encrypted = 'rubbish' where id = %(id)s", id=hook.id)
    flow.emit()
    flow.fan_out()

    assert container.drain_runner.run([hook.id, fine.id]).delivered == 1
    assert [request.path for request in receiver.requests] == ["/fine"]
    assert container.schedule.pauses() == {hook.id: pytest.approx(60, abs=5)}


def test_a_word_of_a_later_release_does_not_stop_the_others_either(
    flow: Flow, container: Container, storage: Storage, account: Account, hook: Webhook, receiver: Receiver
) -> None:
    fine = a_webhook(storage, account, receiver.url("/fine"))
    flow.sql("alter table dispatcher.webhooks drop constraint webhooks_payload_version_is_known")
    flow.sql("update dispatcher.webhooks set payload_version = 'v4' where id = %(id)s", id=hook.id)
    flow.emit()
    flow.fan_out()

    assert container.drain_runner.run([hook.id, fine.id]).delivered == 1
    assert sorted(row[:3] for row in of_rows(flow)) == [("delivered", 1, 0), ("pending", 0, 0)]


def test_after_a_key_was_lost_new_secrets_let_it_go_on(
    flow: Flow, wrong: Container, account: Account, hook: Webhook, receiver: Receiver
) -> None:
    """As the runbook has it."""
    flow.emit()
    flow.fan_out()
    wrong.drain_runner.run([hook.id])

    no_time = timedelta()
    box = wrong.storage.secrets
    wrong.storage.transact(webhooks.rotate_signing_secret, box, account.id, hook.id, no_time)
    flow.sql("update dispatcher.webhooks set auth_header_encrypted = null where id = %(id)s", id=hook.id)
    wrong.schedule.resume([hook.id])
    assert wrong.drain_runner.run([hook.id]).delivered == 1


def test_a_worker_that_cannot_open_the_newest_webhooks_secrets_does_not_start(
    container: Container, wrong: Container, storage: Storage, account: Account
) -> None:
    check(wrong.storage, wrong.schedule, wrong.event_types)
    old = a_webhook(storage, account)
    check(container.storage, container.schedule, container.event_types)
    with pytest.raises(SecretDecryptionFailed):
        check(wrong.storage, wrong.schedule, wrong.event_types)

    newer = a_webhook(wrong.storage, account)
    check(
        wrong.storage, wrong.schedule, wrong.event_types
    )  # it may be what a rotation has come to: only a look at the newest
    with pytest.raises(SecretDecryptionFailed):
        check(container.storage, container.schedule, container.event_types)

    storage.transact(webhooks.delete, account.id, newer.id)
    check(container.storage, container.schedule, container.event_types)
    assert old.id < newer.id
