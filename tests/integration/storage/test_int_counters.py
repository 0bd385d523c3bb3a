"""Counters that were of two bytes: what is stored goes on under load, and 32,767 is no end any more."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from time import monotonic
from urllib.parse import urlsplit

import pytest

from dispatcher.errors import StorageUnavailable
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.storage import migrate
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.pipeline import deliveries
from dispatcher.storage.reads import deliveries as delivery_reads
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.secrets import SecretBox
from tests.integration.storage.conftest import Steps
from tests.integration.storage.test_migrations import downgrade, upgrade
from tests.support.builders import SECRET_KEY
from tests.support.servers import a_database
from tests.support.waiting import eventually

BEFORE = "0011"

# One delivery that waits for its fourth attempt, one of whose attempts was lost; and one that has failed.
_STORED = """
set local search_path to dispatcher;
insert into dispatcher.accounts (slug, time_zone) values ('applecorp', 'UTC');
insert into dispatcher.webhooks (account_id, webhook_url, signing_secret_encrypted, events)
values (1, 'http://127.0.0.1:9/hook', %(secret)s, '{invoice_paid}');
insert into dispatcher.events (id, account_id, name, body, created_at)
select dispatcher.new_event_id(), 1, 'invoice_paid', '{}', now() from generate_series(1, 2);
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, attempt_count, lost_count, tries_before,
    state, finished_on)
select n, e.id, 1, dispatcher.new_idempotency_key(n), c.attempts, c.losses, c.before, c.state, c.finished_on
from (select id, row_number() over (order by id) as n from dispatcher.events) e
join (values (1, 5, 1, 2, 'pending', null), (2, 6, 0, 0, 'failed', current_date))
    as c (delivery, attempts, losses, before, state, finished_on) on c.delivery = e.n;
insert into dispatcher.attempts (delivery_id, number, request_id, url, status, started_at, finished_at)
select d.id, n, gen_random_uuid(), 'http://127.0.0.1:9/', '500', now(), now()
from dispatcher.deliveries d, generate_series(1, d.attempt_count + d.lost_count) n
"""


@pytest.fixture(scope="module")
def former_name(postgres_server: str) -> Iterator[str]:
    """A database of the former release, with two deliveries, to be copied."""
    for url in a_database(postgres_server, "template0"):
        with closing(Storage(url, SecretBox([SECRET_KEY]))) as storage:
            upgrade(storage, BEFORE)
            storage.transact(rows, _STORED, secret=storage.secrets.close("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        yield urlsplit(url).path[1:]


@pytest.fixture
def former(postgres_server: str, former_name: str) -> Iterator[Steps]:
    for url in a_database(postgres_server, former_name):
        with closing(Storage(url, SecretBox([SECRET_KEY]))) as storage:
            yield Steps(storage, Account(id=1, slug="applecorp", time_zone="UTC"))


def numbers(steps: Steps, delivery_id: int) -> list[int]:
    return [one.number for one in found(steps, delivery_id).attempts]


def found(steps: Steps, delivery_id: int) -> DeliveryRow:
    return steps.storage.transact(delivery_reads.delivery, str(delivery_id))


def test_what_waits_goes_on_with_its_tries_and_what_has_failed_is_replayed_with_them_anew(former: Steps) -> None:
    migrate.upgrade(former.storage)

    claimed = former.claim_one(1)
    former.record(claimed, "500", retry_in_s=20)

    assert claimed.attempt_number == 4
    assert (found(former, 1).attempt_count, found(former, 1).lost_count) == (6, 1)
    assert numbers(former, 1) == [7, 6, 5, 4, 3, 2, 1]

    former.rows("update dispatcher.deliveries set next_attempt_at = now() + interval '1 h' where id = 1")
    assert former.storage.transact(deliveries.replay, 2, 3) == 1
    for attempt_number in (1, 2):
        claimed = former.claim_one(1)
        assert (claimed.id, claimed.attempt_number) == (2, attempt_number)
        former.record(claimed, "500", retry_in_s=-1)

    assert found(former, 2).attempt_count == 8
    assert numbers(former, 2) == [8, 7, 6, 5, 4, 3, 2, 1]


def test_a_downgrade_keeps_the_counts(former: Steps) -> None:
    migrate.upgrade(former.storage)
    former.record(former.claim_one(1), "500", retry_in_s=20)
    downgrade(former.storage, BEFORE)

    kept = "select attempt_count, lost_count, tries_before from dispatcher.deliveries order by id"
    assert former.rows(kept) == [(6, 1, 2), (6, 0, 0)]
    assert former.value("select max(number) from dispatcher.attempts where delivery_id = 1") == 7

    migrate.upgrade(former.storage)
    former.rows("update dispatcher.deliveries set next_attempt_at = now() where id = 1")
    assert former.claim_one(1).attempt_number == 5


def test_a_migration_stands_back_while_somebody_reads(former: Steps, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits behind it for longer than a moment, and it is done as soon as the reader is."""
    waits: list[float] = []

    def write() -> None:
        while not wait([upgrading], 0.02).done:
            began_s = monotonic()
            former.rows("update dispatcher.deliveries set updated_at = now() where id = 1")
            waits.append(monotonic() - began_s)

    with former.another_session() as reader, ThreadPoolExecutor(2) as pool:
        reader.exec_driver_sql("select count(*) from dispatcher.deliveries")
        upgrading = pool.submit(migrate.upgrade, former.storage)
        writing = pool.submit(write)
        eventually(lambda: caplog.text.count("migrate.waiting") >= 2, what="two tries of the migration")
        assert not upgrading.done()
        reader.rollback()
        assert upgrading.result() == migrate._newest()
        writing.result()

    assert max(waits) < 4  # 0.2 s, and what a busy machine adds; it was 5 s
    assert former.claim_one(1).attempt_number == 4


def test_a_migration_that_finds_no_room_gives_up_and_changes_nothing(former: Steps) -> None:
    with former.another_session() as reader:
        reader.exec_driver_sql("select count(*) from dispatcher.attempts")
        with pytest.raises(StorageUnavailable, match="lock timeout"):
            migrate.upgrade(former.storage, patience_s=0)

    assert former.value("select version_num from dispatcher.dispatcher_version") == BEFORE
    assert former.value("select attempt_count from dispatcher.deliveries where id = 1") == 5


def test_more_than_32_767_attempts_and_losses_of_one_delivery_are_recorded(steps: Steps, webhook: Webhook) -> None:
    steps.emit()
    steps.fan_out()
    steps.rows(
        "update dispatcher.deliveries"
        " set attempt_count = 70000, tries_before = 70000, lost_count = 40000, lost_before = 40000"
    )

    lost = steps.claim_one(webhook.id)
    steps.lose(lost.id)
    steps.record(steps.claim_one(webhook.id))

    assert [number for number, *_ in steps.attempts(lost.id)] == [110_001, 110_002]
    assert steps.delivery(lost.id)["state"] == "delivered"
