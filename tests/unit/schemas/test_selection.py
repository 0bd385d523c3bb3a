"""Fields of a body that are sent: what is kept, as it was written; and which paths are refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from dispatcher.schemas.api.field_paths import FieldPaths, problems_of_paths
from dispatcher.schemas.selection import select_fields
from tests.support.cases import each

BODY = (
    ' {"invoice": {"id": 9.0, "total": 1.10, "note": "\\u00e9", "client": null, "lines": [{"a": 1, "b": [ 2 ]}, '
    '{"a":3}, 4], "x": {"y": {"z": 1, "q": 2}}}, "payment": {"id": 5}} '
)


@each(
    ("only", "excluded", "kept"),
    [
        ((), (), BODY),
        (("invoice.total", "invoice.note"), (), '{"invoice":{"id":9.0,"total":1.10,"note":"\\u00e9"}}'),
        (("invoice.lines.b",), (), '{"invoice":{"id":9.0,"lines":[{"b":[ 2 ]},{}]}}'),
        (("invoice.client.name", "invoice.note.x"), (), '{"invoice":{"id":9.0,"client":null}}'),
        (("payment", "payment.id"), (), '{"invoice":{"id":9.0},"payment":{"id": 5}}'),
        (("invoice.x", "invoice.lines"), ("invoice.x.y.z", "invoice.lines.a", "nothing.here"),
         '{"invoice":{"id":9.0,"lines":[{"b":[ 2 ]},{},4],"x":{"y":{"q":2}}}}'),
        (("invoice.x",), ("invoice.x",), '{"invoice":{"id":9.0}}'),
        ((), ("invoice.id", "invoice.lines", "invoice.x", "invoice.note"),
         '{"invoice":{"id":9.0,"total":1.10,"client":null},"payment":{"id": 5}}'),
        ((), ("invoice", "payment.id"), '{"invoice":{"id":9.0},"payment":{}}'),
        (("payment", "invoice.total"), ("invoice",), '{"invoice":{"id":9.0},"payment":{"id": 5}}'),
    ],
)  # fmt: skip
def test_what_is_kept_is_as_it_was_written(only: Any, excluded: Any, kept: str) -> None:
    assert select_fields("invoice_paid", BODY, only, excluded) == kept


def test_what_is_excluded_is_not_there_and_all_else_is() -> None:
    sent = json.loads(select_fields("invoice_paid", BODY, (), ("payment", "invoice.x", "invoice.lines.a")))

    whole = json.loads(BODY)
    del whole["payment"], whole["invoice"]["x"]
    assert sent == {"invoice": {**whole["invoice"], "lines": [{"b": [2]}, {}, 4]}}


NAMES = st.sampled_from(["invoice", "id", "a", "b"])
JSON = st.recursive(
    st.none() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(".".join), max_size=4).map(tuple)


def places(value: Any, path: str = "") -> set[str]:
    """Paths to all that is no object and no array."""
    if isinstance(value, dict):
        return {place for name, one in value.items() for place in places(one, f"{path}.{name}".lstrip("."))}
    if isinstance(value, list):
        return {place for one in value for place in places(one, path)}
    return {path}


@given(st.dictionaries(NAMES, JSON, max_size=4), PATHS, PATHS)
def test_nothing_else_is_sent(body: Any, only: Any, excluded: Any) -> None:
    sent = json.loads(select_fields("invoice_paid", json.dumps(body), only, excluded))

    kept = places(sent)
    assert kept <= places(body)
    others = {place for place in kept if f"{place}."[:11] not in ("invoice.", "invoice.id.")}  # the id, or null
    assert not any(f"{place}.".startswith(f"{path}.") for place in others for path in excluded)
    if only:  # what is null may hold what was asked for
        wanted = {*only, "invoice.id"}
        assert all(any(f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.") for b in wanted) for a in kept)


def test_the_dispatchers_own_events_are_left_as_they_are() -> None:
    assert select_fields("webhook_recovered", BODY, ("a",), ("invoice",)) == BODY


@each(
    ("events", "only", "excluded", "problems"),
    [
        (["invoice_paid"], ["invoice.lines.name", "payment"], ["invoice.note"], {}),
        (["invoice_*"], ["payment.paid_on"], [], {}),
        (["invoice_paid"], ["invoice.totl"], [],
         {"only_fields": ["invoice.totl: is no attribute of the events; did you mean total?"]}),
        (["invoice_paid"], [], ["expense", "invoice", "invoice.id", "invoice.id.x"],
         {"excluded_fields": [
             "expense: is no attribute of the events; the catalogue (event_types.json) lists them all",
             "invoice: holds what the event is about, which is always sent",
             "invoice.id: holds what the event is about, which is always sent",
             "invoice.id.x: is no attribute of the events; it has no attributes"]}),
        (["recurring_generator_invoice_created"], [], ["invoice.id"], {}),
    ],
)  # fmt: skip
def test_paths_are_of_the_events(events: Any, only: Any, excluded: Any, problems: Any) -> None:
    assert problems_of_paths(events, {}, only, excluded) == problems


@each("paths", [None, "a", {}, [5], [""], ["a..b"], ["a b"], ["a."], ["\0"], ["x" * 201], [
    f"a{n}" for n in range(101)], [".".join("a" * 13)]])  # fmt: skip
def test_what_is_no_list_of_paths_is_refused(paths: Any) -> None:
    with pytest.raises(ValidationError):
        FieldPaths().deserialize(paths)
