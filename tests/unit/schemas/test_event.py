"""Rendering a body: what is accepted, what is refused, and that a refusal says where, never what."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Barrier
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

import pytest

from dispatcher.schemas import InvalidEvent
from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.schemas.wire.fields import DateTime, Shape
from tests.support.bodies import render_body
from tests.support.cases import each
from tests.unit.schemas.facts import example, in_order
from tests.unit.schemas.strategies import BODIES

PAYMENT = {"id": 42}
SECRET = "hunter2"


def kind(value: Any) -> str:
    """A test's id that is the same in every run."""
    return type(value).__name__


def problems(event_name: str, body: Any) -> list[tuple[str, str]]:
    """The (path, reason) pairs of a refusal; no value stands in its message."""
    with pytest.raises(InvalidEvent) as caught:
        render_body(event_name, body)
    assert SECRET not in str(caught.value)
    assert caught.value.event_name == event_name
    return list(caught.value.problems)


def invoice_problems(**attributes: Any) -> list[tuple[str, str]]:
    return problems("invoice_updated", {"invoice": {"id": 1} | attributes})


def rendered(event_name: str = "invoice_updated", /, *, time_zone: str = "Europe/Prague", **body: Any) -> Any:
    return json.loads(render_body(event_name, body, time_zone=time_zone))


def invoice(**attributes: Any) -> Any:
    return rendered(invoice={"id": 1} | attributes)["invoice"]


# The event and its keys


@each("name", ["", "invoice", "INVOICE_PAID", "invoice_paid ", "estimate_created"])
def test_an_event_that_is_not_of_the_catalogue_is_refused(name: str) -> None:
    ((path, reason),) = problems(name, {"invoice": {"id": 1}})
    assert (path, reason.partition(";")[0]) == ("", "is not an event of the catalogue")


def test_a_missing_key_is_refused() -> None:
    assert problems("invoice_paid", {"invoice": {"id": 1}}) == [("payment", "missing from the body")]


def test_a_surplus_key_is_refused() -> None:
    assert problems("invoice_created", {"invoice": {"id": 1}, "payment": PAYMENT}) == [
        ("payment", "unknown key of the body")
    ]


def test_every_problem_is_found_at_once() -> None:
    found = problems("invoice_paid", {"surplus": 1, "invoice": {"total": SECRET, "paid_on": SECRET, "surplus": 1}})

    assert found == [
        ("surplus", "unknown key of the body"),
        ("invoice.surplus", "unknown attribute"),
        ("invoice.id", "missing"),
        ("invoice.paid_on", "not a date"),
        ("invoice.total", "not a decimal"),
        ("payment", "missing from the body"),
    ]


def test_an_optional_key_may_be_absent_but_not_null() -> None:
    file, expense = {"id": 1}, {"id": 2}

    assert rendered("inbox_file_removed", inbox_file=file) == {"inbox_file": file}
    assert rendered("inbox_file_removed", expense=expense, inbox_file=file) == {"inbox_file": file, "expense": expense}
    assert problems("inbox_file_removed", {"inbox_file": file, "expense": None}) == [("expense", "not an object")]


def test_a_bulk_event_holds_its_count() -> None:
    assert render_body("inbox_file_removed_all", {"inbox_files": {"count": 2}}) == b'{"inbox_files":{"count":2}}'
    assert problems("inbox_file_removed_all", {"inbox_files": {}}) == [("inbox_files.count", "missing")]
    assert problems("inbox_file_removed_all", {"inbox_files": {"count": True}}) == [
        ("inbox_files.count", "not an integer")
    ]
    assert problems("inbox_file_removed_all", {"inbox_files": [{"id": 1}]}) == [("inbox_files", "not an object")]


@each("name", BODIES)
def test_the_least_body_is_its_ids(name: str) -> None:
    def least(shape: Shape) -> Any:
        one = {"count": 0} if shape.inner.type_name == "FileCount" else {"id": 7}
        return [one] if shape.many else one

    body = {key: least(shape) for key, shape in EVENT_TYPES[name].keys.items()}
    backwards = dict(reversed(body.items()))
    required = [key for key, shape in EVENT_TYPES[name].keys.items() if shape.required]

    assert render_body(name, backwards) == json.dumps(body, separators=(",", ":")).encode()
    assert problems(name, {}) == [(key, "missing from the body") for key in required]


@each("body", [None, "invoice", b"", 5, True, [], [("invoice", {"id": 1})], object()])
def test_a_body_that_is_no_mapping_is_refused(body: Any) -> None:
    assert problems("invoice_updated", body) == [("", "the body is not an object")]


# Attributes


def test_a_surplus_attribute_of_a_dict_is_refused_at_any_depth() -> None:
    assert invoice_problems(surplus=SECRET) == [("invoice.surplus", "unknown attribute")]
    assert invoice_problems(lines=[{"id": 1}, {"id": 2, "inventory": {"surplus": SECRET}}]) == [
        ("invoice.lines[1].inventory.surplus", "unknown attribute")
    ]


def test_the_path_leads_to_a_nested_attribute() -> None:
    assert invoice_problems(lines=[{"id": 1}, {"id": 2, "quantity": SECRET}], tags=["a", 5]) == [
        ("invoice.tags[1]", "not a string"),
        ("invoice.lines[1].quantity", "not a decimal"),
    ]


def test_absent_attributes_stay_absent_and_null_stays_null() -> None:
    assert render_body("invoice_updated", {"invoice": {"paid_on": None, "id": 1}}) == (
        b'{"invoice":{"id":1,"paid_on":null}}'
    )


def test_null_where_it_may_not_be_is_refused() -> None:
    assert invoice_problems(number=None, lines=None) == [
        ("invoice.number", "may not be null"),
        ("invoice.lines", "may not be null"),
    ]
    assert invoice_problems(id=None) == [("invoice.id", "may not be null")]
    assert invoice_problems(tags=[None]) == [("invoice.tags[0]", "not a string")]


def test_text_goes_in_as_it_is() -> None:
    text = 'Žluťoučký "kůň" \\ </script> \u2028 😀 \x7f\n'

    body = render_body("invoice_updated", {"invoice": {"id": 1, "note": text}}).decode()

    assert "Žluťoučký" in body
    assert "😀" in body
    assert json.loads(body)["invoice"]["note"] == text
    body.encode()


def test_a_nul_or_a_surrogate_is_refused() -> None:
    assert invoice_problems(note=SECRET + "\0") == [("invoice.note", "holds a NUL or a lone surrogate")]
    assert invoice_problems(note=SECRET + "\ud800") == [("invoice.note", "holds a NUL or a lone surrogate")]


@each("value", [float("nan"), float("inf"), -float("inf"), Decimal("NaN"), Decimal("sNaN")])
def test_nan_and_infinity_never_get_into_a_body(value: Any) -> None:
    assert invoice_problems(total=value) == [("invoice.total", "not a decimal")]
    assert invoice_problems(lines=[{"id": 1, "vat_rate": value}]) == [
        ("invoice.lines[0].vat_rate", "not a finite number")
    ]


def test_a_number_beyond_all_bounds_never_gets_into_a_body() -> None:
    huge = 10**5000

    assert invoice_problems(id=huge, total=huge, lines=[{"id": 1, "vat_rate": huge}]) == [
        ("invoice.id", "beyond 64 bits"),
        ("invoice.total", "not a decimal"),
        ("invoice.lines[0].vat_rate", "not a finite number"),
    ]


@each(
    "value",
    [None, "text", b"bytes", 1, 1.5, True, [], ["id"], (), Decimal(1), date(2024, 6, 13), object(), {1}],
)
def test_what_is_no_object_is_refused(value: Any) -> None:
    reasons = ("not an object", "not an object with such attributes")

    for found, path in (
        (problems("invoice_updated", {"invoice": value}), "invoice"),
        (problems("invoice_payment_removed", {"invoice": {"id": 1}, "payments": [value]}), "payments[0]"),
        (invoice_problems(vat_rates_summary=[value]), "invoice.vat_rates_summary[0]"),
    ):
        assert [place for place, _ in found] == [path]
        assert found[0][1] in reasons


@each("value", [Decimal(1), date(2024, 6, 13), object(), {1}])
def test_a_stray_value_never_passes_for_an_object_without_attributes(value: Any) -> None:
    assert invoice_problems(lines=[{"id": 1, "inventory": value}]) == [
        ("invoice.lines[0].inventory", "not an object with such attributes")
    ]


# Arrays


@each("value", [None, "text", b"bytes", 1, True, {}, {"id": 1}, SimpleNamespace(id=1)])
def test_what_is_no_array_is_refused(value: object) -> None:
    assert problems("invoice_payment_removed", {"invoice": {"id": 1}, "payments": value}) == [
        ("payments", "not an array")
    ]
    if value is not None:
        assert invoice_problems(lines=value, tags=value) == [
            ("invoice.tags", "not an array"),
            ("invoice.lines", "not an array"),
        ]


def test_an_empty_array_is_an_array() -> None:
    body = rendered("invoice_payment_removed", invoice={"id": 1}, payments=[])

    assert body == {"invoice": {"id": 1}, "payments": []}


@each("kind", [list, tuple, iter, lambda items: (item for item in items), lambda items: map(dict, items)])
def test_an_array_may_be_anything_that_is_gone_through_once(kind: Callable[[Any], Any]) -> None:
    payments = [{"id": 1}, {"id": 2}]

    body = rendered("invoice_payment_removed", invoice={"id": 1, "lines": kind([{"id": 3}])}, payments=kind(payments))

    assert body == {"invoice": {"id": 1, "lines": [{"id": 3}]}, "payments": payments}


# Objects with attributes


@dataclass
class Stock:
    item_id: int
    warehouse: str = SECRET


@dataclass
class Row:
    id: int
    inventory: Stock | None = None
    cost: str = SECRET


@dataclass
class Invoice:
    id: int
    total: Decimal = Decimal("12100")
    paid_on: date | None = None
    lines: list[Row] = field(default_factory=list)
    owner: Any = SECRET
    _state: Any = SECRET

    def public_url(self) -> str:
        return SECRET

    @property
    def html_url(self) -> str:
        return f"https://example.com/{self.id}"

    @property
    def url(self) -> None:
        raise AttributeError("not saved yet")


def test_an_object_is_rendered_like_the_dict_of_its_documented_attributes() -> None:
    body = render_body(
        "invoice_updated", {"invoice": Invoice(7, lines=[Row(1, Stock(28)), Row(2)], paid_on=date(2024, 6, 13))}
    )

    assert body == render_body(
        "invoice_updated",
        {
            "invoice": {
                "html_url": "https://example.com/7",
                "id": 7,
                "lines": [{"id": 1, "inventory": {"item_id": 28}}, {"inventory": None, "id": 2}],
                "paid_on": "2024-06-13",
                "total": "12100.0",
            }
        },
    )
    assert SECRET.encode() not in body


def test_objects_and_dicts_may_be_mixed() -> None:
    body = rendered(invoice={"id": 1, "lines": [SimpleNamespace(id=2, inventory={"item_id": 3})]})

    assert body["invoice"]["lines"] == [{"id": 2, "inventory": {"item_id": 3}}]


def test_the_problems_of_an_object_have_paths_too() -> None:
    secret, number, stray = cast("Any", (SECRET, "28", SimpleNamespace(name="x")))
    found = problems("invoice_updated", {"invoice": Invoice(secret, lines=[Row(1, Stock(number)), stray])})

    assert found == [
        ("invoice.id", "not an integer"),
        ("invoice.lines[0].inventory.item_id", "not an integer"),
        ("invoice.lines[1].id", "missing"),
    ]


class Columns(NamedTuple):
    """Like a row of a SELECT: a sequence, but one with attributes."""

    id: int
    amount: Decimal
    cost: str = SECRET


def test_a_named_tuple_is_an_object() -> None:
    payment = Columns(42, Decimal("1089"))

    body = rendered("invoice_paid", invoice={"id": 1, "payments": [payment]}, payment=payment)

    assert body["payment"] == {"id": 42, "amount": "1089.0"}
    assert body["invoice"]["payments"] == [body["payment"]]
    assert problems("invoice_paid", {"invoice": {"id": 1}, "payment": Columns(*cast("Any", (SECRET, SECRET)))}) == [
        ("payment.id", "not an integer"),
        ("payment.amount", "not a decimal"),
    ]


def test_a_method_named_like_an_attribute_is_refused() -> None:
    class Odd:
        id = 1

        def total(self) -> str:
            return SECRET

    assert problems("invoice_updated", {"invoice": Odd()}) == [("invoice.total", "not a decimal")]


def test_any_mapping_will_do() -> None:
    class Lazy(Mapping[str, Any]):
        def __init__(self, **values: Any) -> None:
            self._values = values

        def __getitem__(self, name: str) -> Any:
            return self._values[name]

        def __iter__(self) -> Iterator[str]:
            return iter(self._values)

        def __len__(self) -> int:
            return len(self._values)

    body = MappingProxyType({"invoice": Lazy(id=1, lines=[MappingProxyType({"id": 2})])})

    assert render_body("invoice_updated", body) == b'{"invoice":{"id":1,"lines":[{"id":2}]}}'
    assert problems("invoice_updated", {"invoice": Lazy(id=1, surplus=SECRET)}) == [
        ("invoice.surplus", "unknown attribute")
    ]


def test_what_is_rendered_is_not_changed() -> None:
    body = example("webhook_event_invoice_paid")["body"]
    before = in_order(body)

    render_body("invoice_paid", body)

    assert in_order(body) == before


# What goes round in circles


def test_an_object_that_holds_itself_ends() -> None:
    loop = SimpleNamespace(id=1)
    loop.lines = [loop]
    loop.payments = [loop]

    assert rendered(invoice=loop)["invoice"] == {"id": 1, "lines": [{"id": 1}], "payments": [{"id": 1}]}


def test_a_dict_or_an_array_that_holds_itself_is_refused() -> None:
    loop: dict[str, Any] = {"id": 1}
    loop["lines"] = [loop]
    array: list[Any] = []
    array.append(array)

    assert problems("invoice_updated", {"invoice": loop}) == [("invoice.lines[0].lines", "unknown attribute")]
    assert invoice_problems(lines=array, tags=array) == [
        ("invoice.tags[0]", "not a string"),
        ("invoice.lines[0]", "not an object"),
    ]


def test_a_value_of_any_depth_is_refused_where_it_goes_too_deep() -> None:
    deep: Any = SECRET
    for _ in range(100_000):
        deep = [deep]

    assert invoice_problems(lines=deep, note=deep) == [
        ("invoice.note", "not a string"),
        ("invoice.lines[0]", "not an object"),
    ]


# Times


NOON = datetime(2024, 6, 13, 12, tzinfo=UTC)


@each(
    ("time_zone", "written"),
    [
        ("Europe/Prague", "2024-06-13T14:00:00.000+02:00"),
        ("America/New_York", "2024-06-13T08:00:00.000-04:00"),
        ("Asia/Kathmandu", "2024-06-13T17:45:00.000+05:45"),
        ("UTC", "2024-06-13T12:00:00.000+00:00"),
    ],
)
def test_datetimes_are_written_in_the_accounts_zone_at_every_depth(time_zone: str, written: str) -> None:
    body = rendered(
        "invoice_paid",
        time_zone=time_zone,
        invoice={"id": 1, "locked_at": NOON, "payments": [{"id": 2, "created_at": "2024-06-13T12:00:00Z"}]},
        payment={"id": 2, "created_at": NOON.astimezone(ZoneInfo("Asia/Tokyo"))},
    )

    assert body["invoice"]["locked_at"] == written
    assert body["invoice"]["payments"][0]["created_at"] == body["payment"]["created_at"] == written


@each(
    ("moment", "written"),
    [
        (datetime(2024, 3, 31, 0, 59, 59, 999_999, UTC), "2024-03-31T01:59:59.999+01:00"),
        (datetime(2024, 3, 31, 1, 0, 0, 0, UTC), "2024-03-31T03:00:00.000+02:00"),
        (datetime(2024, 10, 27, 0, 30, 0, 0, UTC), "2024-10-27T02:30:00.000+02:00"),
        (datetime(2024, 10, 27, 1, 30, 0, 0, UTC), "2024-10-27T02:30:00.000+01:00"),
        (datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Prague"), fold=1), "2024-10-27T02:30:00.000+01:00"),
    ],
)
def test_the_clock_change_keeps_instants_apart(moment: datetime, written: str) -> None:
    assert invoice(sent_at=moment)["sent_at"] == written


def test_a_naive_datetime_or_one_out_of_the_calendar_is_refused() -> None:
    assert invoice_problems(
        sent_at=datetime(2024, 6, 13), locked_at=datetime.max.replace(tzinfo=UTC), cancelled_at="2024-06-13T12:00"
    ) == [
        ("invoice.sent_at", "needs a time zone"),
        ("invoice.cancelled_at", "needs a time zone"),
        ("invoice.locked_at", "out of range"),
    ]


def test_a_refused_event_leaves_the_zone_of_the_next_one_alone() -> None:
    with pytest.raises(InvalidEvent):
        render_body("invoice_updated", {"invoice": {}}, time_zone="America/New_York")

    assert DateTime().wire(NOON) == "2024-06-13T14:00:00.000+02:00"


def test_each_thread_writes_in_its_own_zone() -> None:
    zones = ["Europe/Prague", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"]
    barrier = Barrier(len(zones))

    def lines(zone: str) -> Iterator[dict[str, int]]:
        for number in range(50):
            barrier.wait(timeout=10)  # between two lines the other threads have set their zones
            yield {"id": number}

    def render(zone: str) -> Any:
        shown = {"id": 1, "lines": lines(zone), "payments": [{"id": 2, "created_at": NOON}], "created_at": NOON}
        return rendered(time_zone=zone, invoice=shown)["invoice"]

    with ThreadPoolExecutor(len(zones)) as pool:
        found = list(pool.map(render, zones))

    expected = [NOON.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds") for zone in zones]
    assert [each["created_at"] for each in found] == expected
    assert [each["payments"][0]["created_at"] for each in found] == expected


# Messages


def test_a_message_names_the_event_the_paths_and_the_reasons() -> None:
    with pytest.raises(
        InvalidEvent, match=r"^invoice_paid: invoice\.total: not a decimal; payment: missing from the body$"
    ):
        render_body("invoice_paid", {"invoice": {"id": 1, "total": SECRET}})


def test_a_message_of_many_problems_is_bounded_and_all_are_kept() -> None:
    with pytest.raises(InvalidEvent) as caught:
        render_body("invoice_updated", {"invoice": {"id": 1, "lines": [{"id": SECRET}] * 10_000}})

    assert len(caught.value.problems) == 10_000
    assert str(caught.value).endswith("; and 9995 more")
    assert len(str(caught.value)) < 500


@each("name", ["id", "number", "status", "total", "issued_on", "sent_at", "paypal", "html_url", "tags", "lines"])
def test_no_message_repeats_a_value(name: str) -> None:
    unsendable = SECRET + "\0"  # any text would do for a number, and for a tag
    for value in (unsendable, [unsendable], {SECRET: 1}, object(), SimpleNamespace(secret=SECRET)):
        found = invoice_problems(**{name: value})

        assert found
        assert not any(SECRET in reason for _, reason in found)
