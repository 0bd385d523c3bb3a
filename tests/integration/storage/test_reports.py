import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dispatcher.errors import DeliveryNotFound
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.storage.admin import clients
from dispatcher.storage.admin.clients import SCOPES
from dispatcher.storage.engine import Storage
from dispatcher.storage.reads import deliveries
from dispatcher.storage.reads.deliveries import DeliveryRow
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, a_webhook, an_account


@pytest.fixture
def three(steps: Steps, webhook: Webhook) -> list[int]:
    """A delivered, a failed and a waiting delivery, in the order of their ids."""
    steps.emit(*(a_draft() for _ in range(3)))
    steps.fan_out()
    ids = [row[0] for row in steps.rows("select id from dispatcher.deliveries order by id")]
    for id_, status in zip(ids[:2], ["200", "500"], strict=True):
        steps.rows(
            "update dispatcher.deliveries set next_attempt_at = now() - interval '1 h' where id = %(id)s", id=id_
        )
        steps.record(steps.claim_one(webhook.id), status, content_type="text/plain", body=b"oh")
    return ids


def listed(steps: Steps, **wanted: Any) -> list[DeliveryRow]:
    return steps.storage.transact(deliveries.deliveries, wanted.pop("slug", "applecorp"), **wanted)


def test_deliveries_are_listed_newest_first_with_their_attempts(steps: Steps, three: list[int]) -> None:
    found = listed(steps)

    assert [one.id for one in found] == three[::-1]
    assert [one.state for one in found] == ["pending", "failed", "delivered"]
    assert [[attempt.status for attempt in one.attempts] for one in found] == [[], ["500"], ["200"]]
    assert found[1].attempts[0].body == "oh"
    assert found[0].next_attempt_at is not None
    assert found[1].next_attempt_at is None


def test_a_delivery_whose_event_is_gone_is_listed_and_found(steps: Steps, three: list[int], webhook: Webhook) -> None:
    steps.rows("delete from dispatcher.events")
    steps.claim({webhook.id: 1})

    found = listed(steps)

    assert [one.id for one in found] == three[::-1]
    assert found[0].attempts[0].reason == "its event is gone"
    assert {(one.event_name, one.body_json) for one in found} == {("unknown", "{}")}
    assert [one.id for one in listed(steps, state="failed")] == three[:0:-1]
    failed = steps.storage.transact(deliveries.failed_deliveries, webhook.id, offset=0, limit=9)
    assert [one.id for one in failed] == three[:0:-1]
    assert steps.storage.transact(deliveries.delivery, str(three[2])) == found[0]


def test_lists_are_narrowed_and_paged(steps: Steps, storage: Storage, account: Account, three: list[int]) -> None:
    other = a_webhook(storage, account, events=["invoice_sent"])

    assert [one.id for one in listed(steps, state="failed")] == [three[1]]
    assert listed(steps, webhook_id=other.id) == []
    assert [one.id for one in listed(steps, limit=2)] == [three[2], three[1]]
    assert [one.id for one in listed(steps, limit=2, before=three[1])] == [three[0]]


def test_lists_are_narrowed_by_event_client_key_and_time(
    steps: Steps, storage: Storage, account: Account, three: list[int]
) -> None:
    (client, _) = storage.transact(clients.create, account.id, "a test", [], SCOPES)
    its_own = a_webhook(storage, account, events=["invoice_sent"], client_id=client.id)
    steps.emit(a_draft("invoice_sent"))
    steps.fan_out()
    (sent,) = listed(steps, client_id=client.id)
    all_of_them = listed(steps)
    newest, oldest = all_of_them[0].created_at, all_of_them[-1].created_at
    second = timedelta(seconds=1)

    assert sent.webhook_id == its_own.id
    assert [one.id for one in listed(steps, event_name="invoice_sent")] == [sent.id]
    assert [one.id for one in listed(steps, event_name="invoice_paid", state="failed")] == [three[1]]
    assert [one.id for one in listed(steps, idempotency_key=sent.idempotency_key)] == [sent.id]
    assert listed(steps, idempotency_key=UUID(int=sent.idempotency_key.int ^ 1 << 100)) == []
    assert listed(steps, since=oldest) == listed(steps, until=newest + second) == all_of_them
    assert listed(steps, since=newest + second) == listed(steps, until=oldest) == []
    assert listed(steps, client_id=client.id, webhook_id=three[0] + 1_000) == []


def test_a_delivery_is_known_to_its_account_and_client_only(
    steps: Steps, storage: Storage, account: Account, three: list[int]
) -> None:
    (client, _) = storage.transact(clients.create, account.id, "a test", [], SCOPES)

    def known(**to: Any) -> DeliveryRow:
        return steps.storage.transact(deliveries.delivery, str(three[0]), **to)

    assert known(account_id=account.id).id == three[0]
    for to in ({"account_id": account.id + 1}, {"client_id": client.id}):
        with pytest.raises(DeliveryNotFound):
            known(**to)


DAYS = 10
_EVENT_ID = "(extract(epoch from current_date - mod(n, 10))::bigint - 1577836800) << 23 | n"


@pytest.fixture(scope="module")
def much(kept: Steps) -> Steps:
    """Ten days of history of 40 webhooks, some of it failed, and as much that waits; with statistics."""
    steps = kept
    hooks = [a_webhook(steps.storage, steps.account) for _ in range(40)]
    steps.rows("select dispatcher.create_partitions(current_date - n) from generate_series(0, 9) n")
    steps.rows(
        "insert into dispatcher.events (id, account_id, name, body, created_at)"
        f" select {_EVENT_ID}, %(account)s, 'invoice_paid', '{{}}', now() from generate_series(1, 4000) n",
        account=steps.account.id,
    )
    for finished, state in (("current_date - mod(n, 10)", "delivered"), ("null", "pending")):
        steps.rows(
            "insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, created_at,"
            " finished_on)"
            f" select id, {_EVENT_ID}, (%(hooks)s::int[])[mod(n, 40) + 1], dispatcher.new_idempotency_key(id),"
            f" '{state}',"
            f" now() - make_interval(days => mod(n, 10)), {finished}"
            f" from (select n, nextval('dispatcher.delivery_id') as id from generate_series(1, 4000) n) made",
            hooks=[hook.id for hook in hooks],
        )
    steps.rows("update dispatcher.deliveries set state = 'failed' where mod(id, 100) = 0 and state = 'delivered'")
    steps.rows(
        "insert into dispatcher.attempts (delivery_id, number, request_id, url, status, started_at, finished_at,"
        " recorded_on)"
        " select id, 1, gen_random_uuid(), '', '200', now(), now(), finished_on from dispatcher.deliveries"
        " where state <> 'pending'"
    )
    steps.analyze()
    return steps


def read_whole(plan: Any) -> set[str]:
    """The parts of tables that a plan reads from end to end; a day still to come is empty, and read no other way."""
    filled = {f"{datetime.now(UTC) - timedelta(days=n):%Y%m%d}" for n in range(DAYS)} | {"waiting"}
    return {name for name in re.findall(r"Seq Scan on ([a-z]+_\w+)", plan) if name.partition("_")[2] in filled}


def plan(steps: Steps, **wanted: Any) -> str:
    """What Postgres does for a page, as text."""
    asked = {"slug": "applecorp", "limit": 40, **deliveries.filter_parameters(**wanted)}
    return "\n".join(line for (line,) in steps.rows("explain " + deliveries._list_sql(asked), **asked))


PAGES: list[dict[str, Any]] = [
    {},
    {"webhook_id": 1},
    {"state": "pending"},
    {"state": "delivered", "webhook_id": 1},
    {"before": 6_000},
    {"before": 6_000, "webhook_id": 1, "state": "failed"},
    {"idempotency_key": UUID(int=7 << 76 | 1 << 63 | 77)},
    {"until": datetime.now(UTC)},
]


def test_a_page_is_read_by_indexes_and_of_the_days_asked_for_only(much: Steps) -> None:
    for wanted in PAGES:
        assert read_whole(plan(much, **wanted)) == set(), wanted
    found = plan(much, since=datetime.now(UTC) - timedelta(days=2), webhook_id=1)

    days = set(re.findall(r"deliveries_(\d{8})", found))
    assert len(days) <= 11  # three of these, and the seven that are made ahead


def test_a_page_of_much_is_the_newest_of_all_webhooks(much: Steps) -> None:
    ids = [row[0] for row in much.rows("select id from dispatcher.deliveries order by id desc limit 80")]

    assert [one.id for one in listed(much)] == ids[:40]
    assert [one.id for one in listed(much, before=ids[39])] == ids[40:]


def test_another_account_sees_nothing(steps: Steps, storage: Storage, three: list[int]) -> None:
    an_account(storage, "pearcorp")

    assert listed(steps, slug="pearcorp") == []


def test_a_delivery_is_found_by_its_id_and_by_its_key(steps: Steps, three: list[int]) -> None:
    (found,) = listed(steps, state="failed")

    for name in (str(found.id), f" {found.id} ", str(found.idempotency_key), str(found.idempotency_key).upper()):
        assert steps.storage.transact(deliveries.delivery, name) == found


def test_an_unknown_delivery_is_said_so(steps: Steps, three: list[int]) -> None:
    (found,) = listed(steps, state="failed")
    only_the_right_tail = "00000000" + str(found.idempotency_key)[8:]

    def is_found(name: str) -> bool:
        try:
            return bool(steps.storage.transact(deliveries.delivery, name))
        except DeliveryNotFound:
            return False

    unknown = ("", "0", "999999", "9" * 40, "-1", "x", "018f3c1e-9b6a-7cc4-8000-00000000ffff", "٣", only_the_right_tail)
    assert [name for name in unknown if is_found(name)] == []


def test_attempts_come_newest_first(steps: Steps, webhook: Webhook) -> None:
    steps.emit()
    steps.fan_out()
    for status in ("500", "503", "404"):
        steps.record(steps.claim_one(webhook.id), status, retry_in_s=-1)

    (found,) = listed(steps)
    assert [(one.number, one.status) for one in found.attempts] == [(3, "404"), (2, "503"), (1, "500")]
