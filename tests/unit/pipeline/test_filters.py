"""Filters: what is refused, and with which words."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields

from dispatcher.pipeline.filters import CONDITION_LIMIT, DEPTH_LIMIT, compile_filter
from dispatcher.schemas import Catalogue
from dispatcher.schemas.active_catalogues import Catalogues, use
from dispatcher.schemas.errors import plain
from tests.support.cases import each

EVENTS = ("invoice_paid", "expense_created", "webhook_deactivated")


def problems(filter_: Any, *events: str) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        compile_filter(filter_, events or EVENTS)
    return [str(text) for text in caught.value.messages]


def nested(depth: int) -> dict[str, Any]:
    return {"$not": nested(depth - 1)} if depth else {"invoice": {"id": [1]}}


def test_a_filter_becomes_one_predicate() -> None:
    filter_ = {"invoice": {"status": ["paid", "overdue"], "total": [{"numeric": [">=", 1000]}]}}

    assert compile_filter(filter_, EVENTS) == (
        '(exists($."invoice"."status" ? ((@ == "paid" || @ == "overdue")))'
        ' && exists($."invoice"."total" ? (@.double() >= 1000)))'
    )


@each(
    ("filter_", "said"),
    [
        ([], "must be a JSON object, or null"),
        ({}, "must be an object with at least one condition"),
        ({"invoice": {"totl": [1]}}, "invoice.totl: is no attribute of the events; did you mean total?"),
        ({"invoce": {"total": ["1"]}}, "invoce: is no attribute of the events; did you mean invoice?"),
        ({"invoice": {"id": {"x": [1]}}}, "invoice.id.x: is no attribute of the events; it has no attributes"),
        ({"invoice": {"id": 5}}, "invoice.id: must be an object with at least one condition"),
        ({"invoice": {"id": []}}, "invoice.id: must name at least one value or condition"),
        ({"invoice": {"id": ["5"]}}, 'invoice.id: "5" can never be equal: the attribute is a number'),
        ({"invoice": {"id": [[1]]}}, "invoice.id: must be text, a number, true, false or null"),
        ({"invoice": {"id": [1e999]}}, "invoice.id: holds a number that is too large"),
        (
            {"invoice": {"status": ["payed"]}},
            'invoice.status: "payed" can never be equal; allowed: cancelled, open, overdue, paid, sent, uncollectible',
        ),
        ({"invoice": {"id": [{"prefix": "1"}]}}, "invoice.id: `prefix` is for text, which the attribute is not"),
        ({"invoice": {"number": [{"prefix": 5}]}}, "invoice.number: `prefix` must be text"),
        ({"invoice": {"number": [{"prefix": "\0"}]}}, "invoice.number: holds a NUL or a lone surrogate"),
        ({"invoice": {"number": [{"numeric": [">", 1]}]}}, "`numeric` is for numbers, which the attribute is not"),
        ({"invoice": {"total": [{"numeric": [">", "1"]}]}}, '[">", 100] or [">=", 100, "<", 500]'),
        ({"invoice": {"total": [{"exists": "yes"}]}}, "invoice.total: `exists` must be true or false"),
        ({"invoice": {"total": [{"anything-but": []}]}}, f"`anything-but` must name 1 to {CONDITION_LIMIT} values"),
        (
            {"invoice": {"total": [{"regex": "x"}]}},
            "invoice.total: a condition is an object with one of prefix, suffix, exists, numeric, anything-but",
        ),
        ({"$or": []}, "$or: must be an array of filters"),
        ({"$or": [{"invoice": {"x_y": [1]}}]}, "the catalogue (event_types.json) lists them all"),
        ({"$xor": []}, "$xor: is not one of $and, $or, $not"),
        (nested(DEPTH_LIMIT + 1), f"is nested too deeply (maximum is {DEPTH_LIMIT})"),
        ({"invoice": {"id": [*range(CONDITION_LIMIT + 1)]}}, f"(maximum is {CONDITION_LIMIT} in a filter)"),
        ({"invoice": {"number": ["x" * 9_000]}}, "is too long (maximum is 8,192 characters)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_path(filter_: Any, said: str) -> None:
    (text,) = problems(filter_)

    assert text.endswith(said)


def test_all_that_is_wrong_is_named_at_once() -> None:
    assert len(problems({"invoice": {"a": [1], "b": [1]}, "$nor": {}})) == 3


def test_a_path_need_be_known_in_one_of_the_events_only() -> None:
    assert compile_filter({"invoice": {"id": [1]}, "expense": {"id": [2]}}, EVENTS)
    assert problems({"expense": {"id": [2]}}, "invoice_paid")


@each("name", ["\0", "\ud800"])
def test_an_attribute_has_a_name_that_can_be_sent_also_where_all_names_are_allowed(name: str) -> None:
    catalogue = Catalogue("open")
    catalogue.event(
        "measured", catalogue.resource("thing", Schema.from_dict({"id": fields.Integer()})), all=fields.Dict()
    )
    use(Catalogues(catalogue))
    try:
        assert compile_filter({"all": {"any": [1]}}, ["measured"]) == 'exists($."all"."any" ? (@ == 1))'
        assert problems({"all": {name: [1]}}, "measured") == [
            "all." + plain(name) + ": holds a NUL or a lone surrogate"
        ]
    finally:
        use(None)


_KEYS = st.sampled_from(["invoice", "total", "$or", "$not", "number", 'x"', "numeric", "prefix", "lines"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | st.text(), inner, max_size=3),
)


@given(st.dictionaries(_KEYS, _JSON, max_size=3))
def test_whatever_is_written_is_compiled_or_refused(filter_: dict[str, Any]) -> None:
    with suppress(ValidationError):
        assert "exists(" in compile_filter(json.loads(json.dumps(filter_)), EVENTS)
