"""From emit to the receiver, with everything real but Celery and its broker."""

import json
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import psycopg2
import pytest
from standardwebhooks import Webhook as Verifier

from dispatcher import emit, emit_many, signals
from dispatcher.container import Container
from dispatcher.errors import AccountNotFound, IllegalTransition, InvalidEventAttribute, WebhookNotFound
from dispatcher.model.account import Account
from dispatcher.model.credentials import OAuth2
from dispatcher.model.webhook import Webhook
from dispatcher.replays.one import replay
from dispatcher.schemas import InvalidEvent
from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.schemas.wire.choices import did_you_mean
from dispatcher.settings import Settings
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Storage
from dispatcher.storage.reads import deliveries
from dispatcher.webhooks import edit
from tests.conftest import ShiftTime
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import a_body, a_webhook, an_account, an_event
from tests.support.receiver import Answer, Receiver


@pytest.fixture
def hook(storage: Storage, account: Account, receiver: Receiver) -> Webhook:
    return a_webhook(storage, account, receiver.url("/hook"))


def wait_s(flow: Flow) -> float:
    """Until the only pending delivery's next try."""
    ((wait,),) = flow.sql(
        "select extract(epoch from next_attempt_at - dispatcher.now())::float8 from dispatcher.deliveries_waiting"
    )
    return wait


def test_a_refused_token_is_the_attempts_result_and_no_record_holds_one(
    flow: Flow, container: Container, account: Account, receiver: Receiver
) -> None:
    answers = [Answer(status=401, body=b'{"error": "invalid_client"}'), Answer(body=b'{"access_token": "s3cret"}')]
    client = OAuth2(token_url=receiver.script("/token", *answers), client_id="us", client_secret="hush")
    hook = a_webhook(container.storage, account, receiver.script("/hook", Answer(status=403), Answer()), oauth2=client)

    flow.run(an_event())
    for _ in range(2):
        flow.make_due()
        flow.deliver(hook.id)

    assert flow.statuses() == [["oauth2_token_refused", "403", "200"]]
    (delivery,) = flow.deliveries()
    assert delivery.attempts[-1].reason == "token endpoint: it answered 401 (invalid_client)"
    assert [request.header("Authorization") for request in receiver.requests if request.path == "/hook"] == [
        "Bearer s3cret"
    ] * 2
    stored = flow.sql("select row_to_json(a)::text from dispatcher.attempts a")
    assert "s3cret" not in str(stored)
    assert container.pinger.ping("applecorp", hook.id).response_status == "200"


def test_an_event_arrives_as_a_signed_post(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    (event,) = flow.emit(an_event())
    counts = flow.deliver(*flow.fan_out())

    (request,) = receiver.wait_for(1)
    assert (request.method, request.path) == ("POST", "/hook")
    payload = Verifier(hook.signing_secret).verify(
        request.body, {name.lower(): value for name, value in request.headers}
    )
    assert payload["webhook_id"] == hook.id
    assert payload["event_name"] == "invoice_paid"
    assert payload["body"]["invoice"]["id"] == a_body()["invoice"]["id"]
    assert datetime.fromisoformat(payload["created_at"]) == event.created_at.replace(
        microsecond=event.created_at.microsecond // 1000 * 1000
    )
    assert (counts.delivered, counts.retrying, counts.failed) == (1, 0, 0)
    (delivery,) = flow.deliveries()
    assert delivery.state == "delivered"
    assert request.header("Idempotency-Key") == str(delivery.idempotency_key)
    assert delivery.attempts[0].url == hook.webhook_url


def test_one_event_reaches_every_webhook_that_wants_it(
    flow: Flow, storage: Storage, account: Account, receiver: Receiver
) -> None:
    for n in range(5):
        a_webhook(storage, account, receiver.url(f"/{n}"))
    flow.run()

    assert sorted(request.path for request in receiver.wait_for(5)) == [f"/{n}" for n in range(5)]
    assert len({request.header("Idempotency-Key") for request in receiver.requests}) == 5


def test_a_failure_is_retried_with_the_same_key_and_bytes(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    receiver.script("/hook", Answer(status=503), Answer())

    assert flow.run().retrying == 1
    assert 16 <= wait_s(flow) <= 24
    assert flow.deliver(hook.id).delivered == 0  # not due yet

    flow.make_due()
    assert flow.deliver(hook.id).delivered == 1
    first, second = receiver.wait_for(2)
    assert first.header("Idempotency-Key") == second.header("Idempotency-Key")
    assert first.body == second.body
    assert flow.statuses() == [["503", "200"]]


def test_a_retry_is_due_when_postgres_clock_says_so(
    flow: Flow, hook: Webhook, receiver: Receiver, shift_time: ShiftTime
) -> None:
    receiver.script("/hook", Answer(status=503), Answer())
    flow.run()

    shift_time(15)
    assert flow.deliver(hook.id).delivered == 0
    shift_time(25)
    assert flow.deliver(hook.id).delivered == 1


def test_failed_after_the_first_try_and_five_retries(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    receiver.script("/hook", Answer(status=500))
    flow.run()
    for _ in range(5):
        assert flow.states() == ["pending"]
        flow.make_due()
        flow.deliver(hook.id)

    assert flow.states() == ["failed"]
    assert flow.statuses() == [["500"] * 6]
    flow.deliver(hook.id)
    assert len(receiver.requests) == 6


IN_AN_HOUR = "an HTTP date in an hour"


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        ("120", 120),
        (IN_AN_HOUR, 3_600),
        ("999999999", 86_400),
        ("-1", 20),
        ("soon", 20),
    ],
)
def test_retry_after_is_honoured_within_its_bounds(
    flow: Flow, hook: Webhook, receiver: Receiver, header: str, expected_s: int
) -> None:
    if header == IN_AN_HOUR:  # from now, not from when the tests were collected
        header = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    receiver.script("/hook", Answer(status=429, headers=[("Retry-After", header)]))
    flow.run()

    assert wait_s(flow) == pytest.approx(expected_s, abs=max(15, expected_s * 0.01))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(status=302, headers=[("Location", "/elsewhere")]), "302"),
        (Answer(status=404, body=b"who?"), "404"),
        (Answer(hang_up="before_head"), "connection_failed"),
        (Answer(delay_s=5), "timeout"),
    ],
)
def test_whatever_is_not_2xx_is_tried_again(
    flow: Flow, hook: Webhook, receiver: Receiver, answer: Answer, status: str
) -> None:
    receiver.script("/hook", answer)
    flow.run()

    assert flow.wait_for_statuses() == [[status]]
    assert flow.states() == ["pending"]
    assert {request.path for request in receiver.requests} == {"/hook"}


def test_an_address_that_is_not_allowed_gets_no_connection(flow: Flow, storage: Storage, account: Account) -> None:
    a_webhook(storage, account, "http://169.254.169.254/latest")
    flow.run()

    assert flow.statuses() == [["blocked_address"]]


def test_a_dead_port_is_a_failed_connection(flow: Flow, storage: Storage, account: Account) -> None:
    a_webhook(storage, account, "http://127.0.0.1:1/")
    flow.run()

    assert flow.statuses() == [["connection_failed"]]


def test_what_an_inactive_webhook_has_waits_until_it_is_active_again(
    flow: Flow, container: Container, storage: Storage, account: Account, hook: Webhook, receiver: Receiver
) -> None:
    flow.emit()
    handed = flow.fan_out()
    edit.edit_webhook(storage, container.schedule, "applecorp", hook.id, {"active": False})
    flow.deliver(*handed)
    assert receiver.requests == []
    assert container.reconciler.reconcile().webhook_count == 0

    edit.edit_webhook(storage, container.schedule, "applecorp", hook.id, {"active": True})
    container.dispatch.release_due()

    assert flow.deliver(*flow.queue.webhook_ids).delivered == 1


def test_what_happens_while_a_webhook_is_inactive_makes_no_delivery(
    flow: Flow, container: Container, storage: Storage, hook: Webhook
) -> None:
    edit.edit_webhook(storage, container.schedule, "applecorp", hook.id, {"active": False})
    flow.emit()

    assert flow.fan_out() == []
    assert flow.deliveries() == []


def test_deleting_a_webhook_cancels_what_waits(flow: Flow, storage: Storage, hook: Webhook, receiver: Receiver) -> None:
    flow.emit()
    handed = flow.fan_out()
    edit.delete_webhook(storage, "applecorp", hook.id)
    flow.deliver(*handed)

    assert flow.states() == ["cancelled"]
    assert receiver.requests == []
    with pytest.raises(WebhookNotFound):
        edit.delete_webhook(storage, "applecorp", hook.id)


def test_a_large_backlog_of_a_deleted_webhook_is_cancelled_by_reconcile(
    flow: Flow, container: Container, storage: Storage, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "CANCELLED_AT_ONCE", 2)
    flow.emit(*(an_event() for _ in range(5)))
    flow.fan_out()
    edit.delete_webhook(storage, "applecorp", hook.id)
    assert sorted(flow.states()) == ["cancelled"] * 2 + ["pending"] * 3

    assert container.reconciler.reconcile().webhook_count == 0
    container.reconciler.reconcile()
    assert flow.states() == ["cancelled"] * 5


def test_the_url_and_header_are_read_afresh_for_each_attempt(
    flow: Flow, container: Container, storage: Storage, hook: Webhook, receiver: Receiver
) -> None:
    receiver.script("/hook", Answer(status=500))
    flow.run()
    changes = {"webhook_url": receiver.url("/moved"), "auth_header": "Bearer new"}
    edit.edit_webhook(storage, container.schedule, "applecorp", hook.id, changes)
    flow.make_due()
    flow.deliver(hook.id)

    first, second = receiver.wait_for(2)
    assert (first.path, first.header("Authorization")) == ("/hook", None)
    assert (second.path, second.header("Authorization")) == ("/moved", "Bearer new")
    assert [attempt.url for attempt in flow.deliveries()[0].attempts] == [receiver.url("/moved"), receiver.url("/hook")]


def test_a_legacy_webhook_gets_the_flat_object(
    flow: Flow, storage: Storage, account: Account, receiver: Receiver
) -> None:
    a_webhook(storage, account, receiver.url("/old?token=1"), payload_version="legacy")
    flow.run()

    (request,) = receiver.wait_for(1)
    assert request.target == "/old?token=1"
    assert set(json.loads(request.body)) == {
        "invoice_id",
        "number",
        "status",
        "total",
        "paid_at",
        "event_name",
        "invoice_custom_id",
    }


def test_more_than_a_window_is_delivered_in_one_drain(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    counts = flow.run(*(an_event() for _ in range(120)))

    assert counts.delivered == 120
    assert len({request.header("Idempotency-Key") for request in receiver.requests}) == 120
    assert flow.container.schedule.sizes() == {"due": 0, "held": 0}
    assert flow.container.schedule.healths([hook.id])[hook.id].window > 10


def test_a_retry_is_put_into_the_clock_at_its_time(
    flow: Flow, hook: Webhook, receiver: Receiver, redis_client: Any
) -> None:
    receiver.script("/hook", Answer(status=503))
    flow.run()

    ((member, due_ms),) = redis_client.zrange("dispatcher:due", 0, -1, withscores=True)
    assert int(member) == hook.id
    assert due_ms / 1000 - redis_client.time()[0] == pytest.approx(20, abs=15)
    assert flow.container.schedule.sizes()["held"] == 0


def test_after_redis_was_emptied_reconcile_finds_all_that_waits(
    flow: Flow, container: Container, hook: Webhook, receiver: Receiver, redis_client: Any
) -> None:
    receiver.script("/hook", Answer(status=503), Answer())
    flow.run()  # a retry waits
    flow.emit()  # an event waits for its fan-out
    flow.make_due()
    redis_client.flushall()
    flow.queue.fan_outs = 0

    found = container.reconciler.reconcile()

    assert (found.events_waiting, found.webhook_count) == (True, 1)
    assert flow.queue.fan_outs == 1
    assert container.dispatch.release_due() == 1
    container.fan_out_runner.run()
    assert flow.deliver(hook.id).delivered == 2


def test_reconcile_twice_sends_no_webhook_twice(flow: Flow, container: Container, hook: Webhook) -> None:
    flow.emit()
    flow.fan_out()
    container.reconciler.reconcile()
    container.reconciler.reconcile()
    container.dispatch.release_due()
    container.dispatch.release_due()

    assert flow.queue.webhook_ids == [hook.id]


def test_a_lease_that_ran_out_is_sent_again(
    flow: Flow, container: Container, hook: Webhook, receiver: Receiver
) -> None:
    """Its drain died after the claim: nobody released the webhook."""
    flow.emit()
    flow.fan_out()
    flow.sql(
        "update dispatcher.deliveries set lease_token = gen_random_uuid(), next_attempt_at = now() - interval '1 s'"
    )

    assert flow.deliver(hook.id).delivered == 1
    assert flow.statuses() == [["unknown_error", "200"]]


def test_replay_sends_the_same_key_again_with_all_its_tries(
    flow: Flow, container: Container, hook: Webhook, receiver: Receiver
) -> None:
    receiver.script("/hook", Answer(status=500))
    flow.run()
    flow.sql("update dispatcher.deliveries set tries_before = -5")  # as if this had been the last try
    flow.make_due()
    flow.deliver(hook.id)
    assert flow.states() == ["failed"]

    again = replay(container.storage, container.schedule, str(flow.deliveries()[0].idempotency_key), limit=3)
    assert again.state == "pending"
    flow.queue.delivers.clear()
    container.dispatch.release_due()
    flow.deliver(*flow.queue.webhook_ids)

    assert flow.states() == ["pending"]
    assert flow.deliveries()[0].attempt_count == 3
    assert len({request.header("Idempotency-Key") for request in receiver.wait_for(3)}) == 1


def test_what_is_pending_cannot_be_replayed(flow: Flow, container: Container, hook: Webhook) -> None:
    flow.emit()
    flow.fan_out()

    with pytest.raises(IllegalTransition, match="is pending and cannot become pending"):
        replay(container.storage, container.schedule, str(flow.deliveries()[0].id), limit=3)


def test_a_delivery_of_a_deleted_webhook_cannot_be_replayed(
    flow: Flow, container: Container, storage: Storage, account: Account, hook: Webhook
) -> None:
    flow.run()
    storage.transact(webhooks.delete, account.id, hook.id)

    with pytest.raises((IllegalTransition, WebhookNotFound)):
        replay(container.storage, container.schedule, str(flow.deliveries()[0].id), limit=3)
    assert flow.states() == ["delivered"]


def test_a_fan_out_hands_each_webhook_out_once(flow: Flow, hook: Webhook) -> None:
    flow.emit(an_event(), an_event())

    assert flow.fan_out() == [hook.id]
    flow.emit()
    assert flow.fan_out() == []  # it is held: its drain is told


def test_work_that_comes_during_a_drain_is_done_by_it(
    flow: Flow, container: Container, hook: Webhook, receiver: Receiver
) -> None:
    flow.emit()
    handed = flow.fan_out()
    flow.emit()
    container.fan_out_runner.run()

    assert flow.deliver(*handed).delivered == 2
    assert container.schedule.sizes() == {"due": 0, "held": 0}


# -- emit ----------------------------------------------------------------------------------------------------------


def test_emit_returns_the_committed_event(flow: Flow, hook: Webhook) -> None:
    event = emit("invoice_paid", account="applecorp", **a_body())

    assert (event.name, event.new) == ("invoice_paid", True)
    assert flow.sql("select event_id from dispatcher.events_waiting") == [(event.id,)]


def test_emits_of_one_key_are_one_event(flow: Flow) -> None:
    first = emit("invoice_paid", account="applecorp", idempotency_key="k", **a_body())
    again = emit("invoice_paid", account="applecorp", idempotency_key="k", **a_body())

    assert (again.id, again.new) == (first.id, False)


def test_many_are_stored_all_or_none(flow: Flow) -> None:
    with pytest.raises(InvalidEvent):
        emit_many([an_event(), an_event(body={"invoice": {"no_such": 1}})], account="applecorp")
    assert flow.sql("select count(*) from dispatcher.events") == [(0,)]

    assert len(emit_many([an_event(), an_event()], account="applecorp")) == 2


def test_every_problem_of_every_event_is_told(flow: Flow) -> None:
    broken = [
        an_event(),
        an_event(body={"invoice": {"id": "1", "no_such": 1}}),
        an_event(created_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
        an_event(name="invoice_eaten", body={}),
    ]
    with pytest.raises(InvalidEvent) as refused:
        emit_many(broken, account="applecorp")

    assert refused.value.problems == (
        ("[1].body.invoice.no_such", "unknown attribute"),
        ("[1].body.invoice.id", "not an integer"),
        ("[1].body.payment", "missing from the body"),
        ("[2].created_at", "out of range"),
        ("[3].name", f"is not an event of the catalogue; {did_you_mean('invoice_eaten', EVENT_TYPES)}"),
    )


def test_an_event_of_an_unknown_account_or_name_is_refused(flow: Flow) -> None:
    with pytest.raises(AccountNotFound, match="dispatcher account create nobody"):
        emit("invoice_paid", account="nobody", **a_body())
    with pytest.raises(InvalidEvent):
        emit("invoice_eaten", account="applecorp")


def test_an_impossible_idempotency_key_and_a_time_without_a_zone_are_refused(flow: Flow) -> None:
    for key in ("", "x" * 256, "a\nb", "a\0b"):
        with pytest.raises(InvalidEventAttribute, match=r"^idempotency_key: "):
            emit("invoice_paid", account="applecorp", idempotency_key=key, **a_body())
    with pytest.raises(InvalidEventAttribute, match=r"^created_at: needs a time zone"):
        emit("invoice_paid", account="applecorp", created_at=datetime(2026, 1, 1), **a_body())


def test_an_emit_in_the_callers_transaction_is_sent_once_that_is_committed(
    flow: Flow, settings: Settings, hook: Webhook, receiver: Receiver
) -> None:
    connection = psycopg2.connect(settings.database_url)
    try:
        emit("invoice_paid", account="applecorp", connection=connection, **a_body())
        assert flow.fan_out() == []
        connection.commit()
    finally:
        connection.close()

    assert flow.deliver(*flow.fan_out()).delivered == 1


def test_a_signal_records_its_event(flow: Flow, hook: Webhook) -> None:
    ((_, event),) = signals.invoice_paid.send("applecorp", **a_body())

    assert flow.sql("select id, name from dispatcher.events") == [(event.id, "invoice_paid")]


def test_another_accounts_webhooks_hear_nothing(flow: Flow, storage: Storage, receiver: Receiver) -> None:
    a_webhook(storage, an_account(storage, "pearcorp"), receiver.url())
    flow.run()

    assert storage.transact(deliveries.deliveries, "pearcorp") == []
