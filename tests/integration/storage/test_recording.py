from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dispatcher.model.account import Account
from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.webhook import Webhook
from dispatcher.storage.admin import payloads, webhooks
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.pipeline import deliveries
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft


@pytest.fixture
def claimed(steps: Steps, webhook: Webhook) -> ClaimedDelivery:
    """One delivery, leased."""
    steps.emit()
    steps.fan_out()
    return steps.claim_one(webhook.id)


def reclaimed(steps: Steps, claimed: ClaimedDelivery) -> ClaimedDelivery:
    """The same delivery under another drain's lease."""
    steps.lose(claimed.id)
    return steps.claim_one(claimed.webhook_id)


def test_success_moves_the_delivery_to_its_days_history(steps: Steps, claimed: ClaimedDelivery) -> None:
    assert steps.delivery(claimed.id)["table"] == "deliveries_waiting"

    assert steps.record(claimed) == 1

    row = steps.delivery(claimed.id)
    assert (row["state"], row["attempt_count"], row["lease_token"]) == ("delivered", 1, None)
    assert row["table"] == f"deliveries_{row['finished_on'].replace('-', '')}"


def test_a_failure_with_a_try_left_waits_for_its_time(steps: Steps, claimed: ClaimedDelivery) -> None:
    steps.record(claimed, "503", retry_in_s=100)

    row = steps.delivery(claimed.id)
    assert (row["state"], row["table"], row["lease_token"]) == ("pending", "deliveries_waiting", None)
    waits = steps.storage.transact(deliveries.next_due, [claimed.webhook_id])
    assert waits == {claimed.webhook_id: pytest.approx(100, abs=20)}
    assert steps.attempts(claimed.id) == [(1, "503", None)]


def test_a_final_failure_is_history(steps: Steps, claimed: ClaimedDelivery) -> None:
    steps.record(claimed, "500")

    assert steps.delivery(claimed.id)["state"] == "failed"
    assert steps.delivery(claimed.id)["table"] != "deliveries_waiting"


def test_an_attempt_keeps_what_came_back(steps: Steps, claimed: ClaimedDelivery) -> None:
    steps.record(claimed, "500", content_type="text/plain", body=b"no\0 \xff\xc3", headers="A: \0", reason=None)

    (row,) = steps.rows(
        "select url, content_type, body, reason, finished_at - started_at, recorded_on, response_headers"
        " from dispatcher.attempts"
    )
    assert row[:4] == ("http://127.0.0.1:9/hook?secret=1", "text/plain", "no\ufffd \ufffd\ufffd", None)
    assert row[4].total_seconds() == pytest.approx(0.05)
    assert row[5:] == (steps.value("select current_date"), "A: \ufffd")


def test_attempts_lie_in_the_partition_of_their_day(steps: Steps, claimed: ClaimedDelivery) -> None:
    steps.record(claimed)

    today = steps.value("select to_char(now(), 'YYYYMMDD')")
    assert steps.value("select tableoid::regclass::text from dispatcher.attempts") == f"dispatcher.attempts_{today}"


def test_a_stale_failure_does_not_count(steps: Steps, claimed: ClaimedDelivery) -> None:
    fresh = reclaimed(steps, claimed)

    assert steps.record(claimed, "503", retry_in_s=20) == 0
    assert steps.record(claimed, "500") == 0

    row = steps.delivery(claimed.id)
    assert (row["state"], row["attempt_count"], row["lease_token"]) == ("pending", 0, str(fresh.lease_token))
    assert steps.attempts(claimed.id) == [(1, "unknown_error", "lost")]


def test_a_stale_success_counts(steps: Steps, claimed: ClaimedDelivery) -> None:
    fresh = reclaimed(steps, claimed)

    assert steps.record(claimed, "200") == 1
    assert steps.delivery(claimed.id)["state"] == "delivered"

    assert steps.record(fresh, "503", retry_in_s=20) == 0
    assert steps.delivery(claimed.id)["state"] == "delivered"


def test_two_successes_of_one_delivery_are_two_attempts(steps: Steps, claimed: ClaimedDelivery) -> None:
    fresh = reclaimed(steps, claimed)
    steps.record(claimed)
    steps.record(fresh)

    assert steps.delivery(claimed.id)["state"] == "delivered"
    assert [status for _, status, _ in steps.attempts(claimed.id)] == ["unknown_error", "200", "200"]
    assert len({number for number, _, _ in steps.attempts(claimed.id)}) == 3


def test_a_late_success_turns_a_failed_delivery_into_a_delivered_one(steps: Steps, claimed: ClaimedDelivery) -> None:
    fresh = reclaimed(steps, claimed)
    steps.record(fresh, "500")
    assert steps.delivery(claimed.id)["state"] == "failed"

    assert steps.record(claimed, "200") == 1
    assert steps.delivery(claimed.id)["state"] == "delivered"


def test_a_success_counts_though_its_webhook_was_deleted_meanwhile(
    steps: Steps, claimed: ClaimedDelivery, storage: Storage, account: Account
) -> None:
    storage.transact(webhooks.delete, account.id, claimed.webhook_id)
    assert steps.delivery(claimed.id)["state"] == "cancelled"

    assert steps.record(claimed, "200") == 1
    assert steps.delivery(claimed.id)["state"] == "delivered"
    assert [status for _, status, _ in steps.attempts(claimed.id)] == ["200"]


def test_of_a_success_whose_payload_was_erased_meanwhile_the_response_is_not_kept(
    steps: Steps, claimed: ClaimedDelivery, storage: Storage
) -> None:
    storage.transact(payloads.erase, [claimed.event_id], payloads.SUBJECT)
    assert steps.record(claimed, "500", body=b"Jana") == 0

    assert (
        steps.record(claimed, "200", body=b"Jana", headers="Location: /jana") == 1
    )  # where those of a success are kept
    assert storage.transact(rows, "select body, response_headers, status from dispatcher.attempts") == [
        (None, None, "200")
    ]


def test_many_results_are_recorded_in_one_statement(steps: Steps, webhook: Webhook) -> None:
    steps.emit(*(a_draft() for _ in range(300)))
    steps.fan_out()
    finished = [steps.finished(one) for one in steps.claim({webhook.id: 300}).claimed]

    assert steps.storage.transact(deliveries.record, finished, 11.0) == 300
    assert steps.value("select count(*) from dispatcher.deliveries_waiting") == 0
    assert steps.value("select count(distinct delivery_id) from dispatcher.attempts") == 300


def test_nothing_is_recorded_where_the_transaction_fails(steps: Steps, claimed: ClaimedDelivery) -> None:
    class BrokenError(Exception):
        pass

    def work(connection: Any) -> None:
        deliveries.record(connection, [steps.finished(claimed)], 11.0)
        raise BrokenError

    with pytest.raises(BrokenError):
        steps.storage.transact(work)
    assert steps.delivery(claimed.id)["state"] == "pending"
    assert steps.attempts(claimed.id) == []


def test_a_record_that_meets_another_is_done_again(steps: Steps, claimed: ClaimedDelivery) -> None:
    """Moving a row to another partition makes a second writer of it fail with 40001; `transact` begins anew."""
    fresh = reclaimed(steps, claimed)
    with steps.another_session() as connection:
        deliveries.record(connection, [steps.finished(claimed)], 11.0)
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(steps.record, fresh)
            steps.wait_for_a_waiter()
            connection.commit()
            assert second.result() == 1

    assert [status for _, status, _ in steps.attempts(claimed.id)] == ["unknown_error", "200", "200"]
