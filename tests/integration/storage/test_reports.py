from uuid import uuid4

import pytest

from dispatcher.errors import DeliveryUnknown
from dispatcher.storage import reports
from tests.builders import a_draft, a_webhook, an_account


@pytest.fixture
def three(steps, webhook):
    """A delivered, a failed and a waiting delivery, in the order of their ids."""
    steps.emit(*(a_draft() for _ in range(3)))
    steps.fan_out()
    ids = [row[0] for row in steps.rows("select id from deliveries order by id")]
    for id_, status in zip(ids[:2], ["200", "500"], strict=True):
        steps.rows("update deliveries set next_attempt_at = now() - interval '1 h' where id = %(id)s", id=id_)
        steps.record(steps.claim_one(webhook.id), status, content_type="text/plain", body=b"oh")
    return ids


def listed(steps, **wanted):
    return steps.storage.run(lambda c: reports.deliveries(c, wanted.pop("slug", "applecorp"), **wanted))


def test_deliveries_are_listed_newest_first_with_their_attempts(steps, three):
    found = listed(steps)

    assert [one.id for one in found] == three[::-1]
    assert [one.state for one in found] == ["pending", "failed", "delivered"]
    assert [[attempt.status for attempt in one.attempts] for one in found] == [[], ["500"], ["200"]]
    assert found[1].attempts[0].body == "oh"
    assert found[0].next_attempt_at is not None
    assert found[1].next_attempt_at is None


def test_lists_are_narrowed_and_paged(steps, storage, account, three):
    other = a_webhook(storage, account, events=["invoice_sent"])

    assert [one.id for one in listed(steps, state="failed")] == [three[1]]
    assert listed(steps, webhook_id=other.id) == []
    assert [one.id for one in listed(steps, limit=2)] == [three[2], three[1]]
    assert [one.id for one in listed(steps, limit=2, before=three[1])] == [three[0]]


def test_another_account_sees_nothing(steps, storage, three):
    an_account(storage, "pearcorp")

    assert listed(steps, slug="pearcorp") == []


def test_a_delivery_is_found_by_its_id_and_by_its_key(steps, three):
    (found,) = listed(steps, state="failed")

    for name in (str(found.id), f" {found.id} ", str(found.idempotency_key), str(found.idempotency_key).upper()):
        assert steps.storage.run(lambda c, name=name: reports.delivery(c, name)) == found


@pytest.mark.parametrize("name", ["", "0", "999999", "9" * 40, "-1", "x", str(uuid4()), "٣"])
def test_an_unknown_delivery_is_said_so(steps, three, name):
    with pytest.raises(DeliveryUnknown):
        steps.storage.run(lambda c: reports.delivery(c, name))


def test_a_key_with_only_the_right_tail_is_unknown(steps, three):
    (found,) = listed(steps, state="failed")
    wrong = "00000000" + str(found.idempotency_key)[8:]

    with pytest.raises(DeliveryUnknown):
        steps.storage.run(lambda c: reports.delivery(c, wrong))


def test_attempts_come_newest_first(steps, webhook):
    steps.emit()
    steps.fan_out()
    for status in ("500", "503", "404"):
        steps.record(steps.claim_one(webhook.id), status, retry_in_s=-1)

    (found,) = listed(steps)
    assert [(one.number, one.status) for one in found.attempts] == [(3, "404"), (2, "503"), (1, "500")]


def test_the_backlog_counts_what_waits(steps, webhook, three):
    steps.emit(a_draft("invoice_sent"), a_draft("invoice_sent"))
    backlog = steps.storage.run(reports.backlog)

    assert (backlog.events_waiting, backlog.due, backlog.retrying, backlog.leased) == (2, 1, 0, 0)
    assert 0 <= backlog.oldest_event_age_s < 60
    assert 0 <= backlog.oldest_due_age_s < 60

    claimed = steps.claim_one(webhook.id)
    assert steps.storage.run(reports.backlog).leased == 1
    steps.record(claimed, "503", retry_in_s=20)
    backlog = steps.storage.run(reports.backlog)
    assert (backlog.due, backlog.retrying, backlog.leased, backlog.oldest_due_age_s) == (0, 1, 0, None)


def test_an_empty_backlog_has_no_ages(steps):
    backlog = steps.storage.run(reports.backlog)

    assert (backlog.events_waiting, backlog.oldest_event_age_s, backlog.oldest_due_age_s) == (0, None, None)


def test_the_webhooks_with_the_most_waiting_come_first(steps, storage, account, webhook):
    busy = a_webhook(storage, account, events=["invoice_paid", "invoice_sent"])
    steps.emit(a_draft(), a_draft("invoice_sent"), a_draft("invoice_sent"))
    steps.fan_out()
    steps.rows("update webhooks set active = false where id = %(id)s", id=webhook.id)

    found = steps.storage.run(reports.webhooks_with_backlog)

    assert [(one.webhook_id, one.waiting, one.active) for one in found] == [(busy.id, 3, True), (webhook.id, 1, False)]
