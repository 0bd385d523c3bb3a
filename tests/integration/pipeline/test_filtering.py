"""Filters and wildcards in Postgres: what matches, in each way to fan out, in replays, and before a filter is saved."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.console.explanations import why_not_sent
from dispatcher.errors import InvalidWebhook
from dispatcher.pipeline.emit import NewEvent
from dispatcher.pipeline.filters import compile_filter
from dispatcher.replays import job
from dispatcher.storage.engine import Storage, rows, scalar, scalars
from dispatcher.storage.pipeline import events, leasing
from dispatcher.storage.pipeline.leasing import Leasing
from dispatcher.storage.reads import deliveries as delivery_reads
from dispatcher.storage.reads import events as event_reads
from dispatcher.webhooks.edit import create_webhook, edit_webhook
from dispatcher.webhooks.preview import payload_preview, preview
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import an_event

INVOICE = {
    "id": 93,
    "number": "2024-0056",
    "status": "paid",
    "total": "1089.5",
    "paid_on": "2024-06-13",
    "cancelled_at": None,
    "proforma_followup_document": None,
    "lines": [{"id": 1, "name": "Paper (A4)"}, {"id": 2, "name": "100% \\ink"}],
    "tags": ["red", "blue"],
}
PAID = {"webhook_url": "http://127.0.0.1:9/hook", "events": ["invoice_paid"]}
DEAR = {"invoice": {"total": [{"numeric": [">=", 1000]}]}}


def matches(storage: Storage, filter_: Any, invoice: Any = INVOICE) -> bool:
    path, body = compile_filter(filter_, ["invoice_paid"]), json.dumps({"invoice": invoice})
    found: bool = storage.read(scalar, "select %(body)s::json::jsonb @@ %(path)s::jsonpath", body=body, path=path)
    return found


CONDITIONS: list[tuple[Any, bool]] = [
    ({"id": [93]}, True), ({"id": [92]}, False), ({"id": [1, 93]}, True), ({"id": [-93]}, False),
    ({"status": ["paid"], "number": ["x"]}, False), ({"status": ["open", "paid"], "id": [93]}, True),
    ({"number": [{"prefix": "2024-"}]}, True), ({"number": [{"prefix": "024-"}]}, False),
    ({"number": [{"suffix": "-0056"}]}, True), ({"number": [{"suffix": "2024"}]}, False),
    ({"number": [{"prefix": "x"}, {"suffix": "6"}]}, True),
    ({"total": [{"numeric": [">", 1089]}]}, True), ({"total": [{"numeric": ["=", 1089.5]}]}, True),
    ({"total": [{"numeric": [">=", 0, "<", 1089.5]}]}, False), ({"id": [{"numeric": ["<=", 93]}]}, True),
    ({"total": ["1089.5"]}, True), ({"total": ["1089.50"]}, False),
    ({"paid_on": [{"exists": True}]}, True), ({"due_on": [{"exists": True}]}, False),
    ({"due_on": [{"exists": False}]}, True), ({"cancelled_at": [{"exists": True}]}, True),
    ({"cancelled_at": [None]}, True), ({"paid_on": [None]}, False), ({"sent_at": [None]}, False),
    ({"status": [{"anything-but": "open"}]}, True), ({"status": [{"anything-but": ["open", "paid"]}]}, False),
    ({"number": [{"anything-but": {"prefix": "2023"}}]}, True), ({"due_on": [{"anything-but": "x"}]}, False),
    ({"lines": {"name": ["Paper (A4)"]}}, True), ({"lines": {"name": [{"suffix": "% \\ink"}]}}, True),
    ({"lines": {"name": [{"suffix": "(A.)"}]}}, False),
    ({"lines": {"name": [{"anything-but": "Paper (A4)"}]}}, False),
    ({"tags": ["blue"]}, True), ({"tags": ["green"]}, False), ({"tags": [{"anything-but": "blue"}]}, False),
    ({"$or": [{"id": [1]}, {"status": ["paid"]}]}, True), ({"$or": [{"id": [1]}, {"status": ["open"]}]}, False),
    ({"$and": [{"id": [93]}, {"status": ["open"]}]}, False), ({"$not": {"id": [93]}}, False),
    ({"$not": {"total": [{"numeric": ["<", 5]}]}}, True), ({"$not": {"due_on": [{"prefix": "2"}]}}, True),
    ({"id": [93], "$not": {"$or": [{"status": ["open"]}, {"number": [{"prefix": "9"}]}]}}, True),
    ({"cancelled_at": [{"anything-but": "x"}]}, True), ({"$not": {"cancelled_at": [{"prefix": "x"}]}}, True),
]  # fmt: skip


def test_what_a_condition_matches(storage: Storage) -> None:
    for condition, is_matched in CONDITIONS:
        assert matches(storage, {"invoice": condition}) is is_matched, condition
        assert matches(storage, {"$not": {"invoice": condition}}) is not is_matched, condition


def test_what_is_not_of_its_type_does_not_match(storage: Storage) -> None:
    totals: list[Any] = ["many", None, [], {}, True]
    for total in totals:
        assert not matches(storage, DEAR, {"total": total})
        assert matches(storage, {"$not": DEAR}, {"total": total})


def in_a_transaction(storage: Storage) -> None:
    storage.transact(events.fan_out, 100)


def with_leases(storage: Storage) -> None:
    lease = Leasing("0190163d-8694-739b-aea5-966c26f8ad91", 60.0, 10, 10)
    storage.autocommit(leasing.fan_out, storage.secrets, 100, lease, now_s=0.0)


FAN_OUTS = pytest.mark.parametrize("fan_out", [in_a_transaction, with_leases])


def emit(container: Any, account: Any, *totals: str, **more: Any) -> list[int]:
    new = [NewEvent(name="invoice_paid", body={"invoice": {"id": n, "total": total, **more}, "payment": {"id": n}})
           for n, total in enumerate(totals)]  # fmt: skip
    return [event.id for event in container.emitter.emit(account, new)]


def sent(storage: Storage, webhook: Any) -> list[int]:
    return storage.read(
        scalars, "select event_id from dispatcher.deliveries where webhook_id = %(id)s order by 1", id=webhook.id
    )


@FAN_OUTS
def test_a_webhook_gets_what_its_filter_matches(
    container: Any, account: Any, fan_out: Callable[[Storage], None]
) -> None:
    storage = container.storage
    everything = create_webhook(storage, account.slug, PAID)
    dear = create_webhook(storage, account.slug, PAID | {"filter": DEAR})
    nothing = create_webhook(storage, account.slug, PAID | {"filter": {"invoice": {"id": [77]}}})

    low, high = emit(container, account, "5.0", "5000.0")
    fan_out(storage)

    assert (sent(storage, everything), sent(storage, dear), sent(storage, nothing)) == ([low, high], [high], [])
    assert storage.read(scalar, "select count(*) from dispatcher.events_waiting") == 0


@FAN_OUTS
def test_a_body_that_postgres_cannot_parse_holds_up_nobody(
    container: Any, account: Any, fan_out: Callable[[Storage], None]
) -> None:
    storage = container.storage
    everything = create_webhook(storage, account.slug, PAID)
    dear = create_webhook(storage, account.slug, PAID | {"filter": DEAR})
    (id_,) = emit(container, account, "5000.0")
    storage.transact(rows, 'update dispatcher.events set body = \'{"invoice": "\\u0000"}\' where id = %(id)s', id=id_)

    fan_out(storage)

    assert (sent(storage, everything), sent(storage, dear)) == ([id_], [])


@FAN_OUTS
def test_a_wildcard_reaches_what_it_stands_for(
    container: Any, account: Any, fan_out: Callable[[Storage], None]
) -> None:
    storage = container.storage
    by_group = create_webhook(storage, account.slug, PAID | {"events": ["invoice_*"]})
    by_ending = create_webhook(storage, account.slug, PAID | {"events": ["expense_paid", "*_paid"], "filter": DEAR})
    other = create_webhook(storage, account.slug, PAID | {"events": ["expense_*"]})
    everything = create_webhook(storage, account.slug, PAID | {"events": ["*"]})
    by_name = create_webhook(storage, account.slug, PAID | {"events": ["webhook_recovered", "*"]})

    paid = emit(container, account, "5000.0")
    # An event that a catalogue has got meanwhile, and one of the dispatcher's own.
    newer, own = (emit(container, account, "5.0")[0] for _ in range(2))
    for id_, name in ((newer, "invoice_framed"), (own, "webhook_recovered")):
        storage.transact(
            rows, "update dispatcher.events_waiting set name = %(n)s where event_id = %(i)s", n=name, i=id_
        )
        storage.transact(rows, "update dispatcher.events set name = %(n)s where id = %(i)s", n=name, i=id_)
    fan_out(storage)

    assert sent(storage, by_group) == sent(storage, everything) == [*paid, newer]
    assert (sent(storage, by_ending), sent(storage, other)) == (paid, [])
    assert sent(storage, by_name) == [*paid, newer, own]
    passed = storage.transact(event_reads.non_recipients, account.id, own, [])
    assert [one.id for one in passed if one.subscribed] == [by_name.id]


def test_what_a_wildcard_missed_is_replayed_and_tried(container: Any, account: Any) -> None:
    storage = container.storage
    emit(container, account, "5.0", "5000.0")
    in_a_transaction(storage)
    webhook = create_webhook(storage, account.slug, PAID | {"events": ["*_paid"]})
    missed = {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat(), "missed": True, "webhook_id": webhook.id}

    assert job.dry_run(storage, account, missed, redelivery_limit=1) == 2
    assert preview(storage, account.id, {"filter": DEAR, "events": ["invoice_*"]}).matched == 1


def test_wildcards_end_with_the_events_that_replace_them(container: Any, account: Any) -> None:
    storage, schedule = container.storage, container.schedule
    webhook = create_webhook(storage, account.slug, PAID | {"events": ["*"]})

    edit_webhook(storage, schedule, account.slug, webhook.id, {"events": ["invoice_sent"]})
    emit(container, account, "5.0")
    in_a_transaction(storage)

    assert sent(storage, webhook) == []


def test_bodies_are_read_only_of_events_that_a_filter_is_for(container: Any, account: Any) -> None:
    storage = container.storage
    create_webhook(storage, account.slug, PAID | {"events": ["expense_paid", "invoice_p*"], "filter": DEAR})
    ids = [*emit(container, account, "5.0"), container.emitter.emit(account, [an_event("invoice_sent")])[0].id]

    read = "select array(select body is not null from unnest(dispatcher.event_bodies(%(ids)s)) body)"
    assert storage.read(scalar, read, ids=ids) == [True, False]


def test_a_filter_is_changed_and_removed(container: Any, account: Any) -> None:
    storage, schedule = container.storage, container.schedule
    webhook = create_webhook(storage, account.slug, PAID | {"filter": DEAR})
    assert webhook.filter == DEAR

    edited = edit_webhook(storage, schedule, account.slug, webhook.id, {"filter": None})
    assert edited.filter is None
    (low,) = emit(container, account, "5.0")
    in_a_transaction(storage)
    assert sent(storage, webhook) == [low]


def test_events_and_filter_must_fit_together(container: Any, account: Any) -> None:
    storage, schedule = container.storage, container.schedule
    webhook = create_webhook(storage, account.slug, PAID | {"filter": DEAR})

    with pytest.raises(InvalidWebhook) as caught:
        edit_webhook(storage, schedule, account.slug, webhook.id, {"events": ["expense_paid"]})

    assert list(caught.value.messages) == ["filter"]


def test_missed_events_are_those_that_match(container: Any, account: Any) -> None:
    storage = container.storage
    _, _high = emit(container, account, "5.0", "5000.0")
    in_a_transaction(storage)
    webhook = create_webhook(storage, account.slug, PAID | {"filter": DEAR})
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    missed = {"since": since, "missed": True, "webhook_id": webhook.id}

    assert job.dry_run(storage, account, missed, redelivery_limit=1) == 1


def test_the_console_says_that_the_filter_did_not_match(container: Any, account: Any) -> None:
    storage = container.storage
    create_webhook(storage, account.slug, PAID | {"filter": DEAR})
    storage.transact(rows, "update dispatcher.webhooks set created_at = now() - interval '1 hour'")
    (id_,) = emit(container, account, "5.0")
    in_a_transaction(storage)

    event = storage.transact(event_reads.find, account.id, id_)
    (other,) = storage.transact(event_reads.non_recipients, account.id, id_, [])

    assert why_not_sent(event, other) == "The filter does not match the event's body."


def test_a_filter_is_tried_on_the_last_events(container: Any, account: Any) -> None:
    ids = emit(container, account, *["5.0"] * 3, *["5000.0"] * 2)

    tried = preview(container.storage, account.id, {"filter": DEAR, "events": ["invoice_paid"]})

    assert (tried.matched, tried.of, tried.event_ids) == (2, 5, (ids[4], ids[3]))
    assert preview(container.storage, account.id, {"filter": DEAR, "events": ["invoice_sent"]}).of == 0
    with pytest.raises(InvalidWebhook):
        preview(container.storage, account.id, {"filter": {"x": [1]}, "events": ["invoice_paid"]})


def test_fields_that_are_not_sent_are_shown_to_nobody(container: Any, account: Any) -> None:
    storage = container.storage
    chosen = {"only_fields": ["invoice.total", "invoice.number"], "excluded_fields": ["invoice.number"]}
    webhook = create_webhook(storage, account.slug, PAID | chosen)
    assert payload_preview(storage, account, webhook, PAID | chosen, may_read=True)[1] is False
    emit(container, account, "5.0")
    in_a_transaction(storage)

    (row,) = storage.read(delivery_reads.deliveries, slug=account.slug)
    body, is_real = payload_preview(storage, account, webhook, PAID | chosen, may_read=True)

    assert is_real
    assert row.envelope["body"] == json.loads(body)["body"] == {"invoice": {"id": 0, "total": "5.0"}}
    with pytest.raises(InvalidWebhook, match="always sent"):
        edit_webhook(storage, container.schedule, account.slug, webhook.id, {"excluded_fields": ["invoice.id"]})


@pytest.fixture
def _few_bodies_at_once(storage: Storage) -> Iterator[None]:
    """Postgres refuses arrays of 1 GiB: here, of more than five bodies."""
    function = "'dispatcher.event_bodies(bigint[])'::regprocedure"
    original = storage.read(scalar, f"select pg_get_functiondef({function})")
    limited = """
create or replace function dispatcher.event_bodies(ids bigint[]) returns jsonb[] language plpgsql stable as $$
begin
    if cardinality(ids) > 5 then
        raise program_limit_exceeded;
    end if;
    return array(select body::jsonb from dispatcher.events where id = any (ids) order by id);
end
$$"""
    storage.transact(rows, limited)
    yield
    storage.transact(rows, original)


@pytest.mark.usefixtures("_few_bodies_at_once")
def test_bodies_that_are_too_much_for_one_statement_stop_nobody(flow: Flow, storage: Storage, account: Any) -> None:
    create_webhook(storage, account.slug, {**PAID, "filter": {"invoice": {"id": [{"exists": True}]}}})
    flow.emit(*[an_event() for _ in range(12)])

    flow.fan_out()

    assert len(flow.deliveries()) == 12
