"""What may be written to a webhook, with API v3's messages, and what is returned of it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from dispatcher.schemas import active
from dispatcher.schemas.api.webhook import FilteredWebhookSchema, WebhookSchema, WebhookWithExtrasSchema
from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.schemas.wildcards import as_pattern
from tests.support.cases import each
from tests.unit.schemas.facts import HTTP, example

SCHEMA = WebhookSchema()
WRITTEN = {"webhook_url": "https://example.com/webhook", "events": ["invoice_paid"]}
READ_ONLY = ("id", "failed_deliveries_uuid", "url", "created_at", "updated_at")


def messages(*, partial: bool = False, **changes: Any) -> dict[str, Any]:
    with pytest.raises(ValidationError) as caught:
        SCHEMA.load((WRITTEN if not partial else {}) | changes, partial=partial)
    return caught.value.messages_dict


def outcome(**changes: Any) -> tuple[Any, dict[str, Any]]:
    """What is loaded and no messages, or nothing and the messages."""
    try:
        return SCHEMA.load(WRITTEN | changes), {}
    except ValidationError as error:
        return None, error.messages_dict


def loads(**changes: Any) -> Any:
    return SCHEMA.load(WRITTEN | changes)


# URL


@each(
    "url",
    [
        "https://example.com",
        "http://example.com/",
        "HTTPS://Example.COM/Path",
        "https://example.com:1/",
        "https://example.com:65535/",
        "https://example.com/a%20b?c=d&e=@:#f",
        "https://example.com/žluťoučký",
        "https://háčkyčárky.cz/",
        "https://localhost:8080/x",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1::1]:8443/",
        "https://example.com/" + "a" * (2048 - 20),
    ],
)
def test_a_url_is_kept_as_it_is(url: str) -> None:
    assert loads(webhook_url=url)["webhook_url"] == url


@each(
    "url",
    [
        *(
            "example.com",
            "/path",
            "//example.com/",
            "https:",
            "https://",
            "https:///path",
            "https://?a",
            "https:example.com",
        ),
        *("ftp://example.com", "file:///etc/passwd", "gopher://example.com", "javascript:alert(1)", "ws://example.com"),
        *(
            "https://user@example.com",
            "https://user:pass@example.com/",
            "https://:@example.com",
            "https://@example.com",
        ),
        *("https://example.com:0/", "https://example.com:65536/", "https://example.com:-1/", "https://example.com:a/"),
        *(
            "https://example.com:+80/",
            "https://example.com:８０/",
            "https://:443/",
            "https://[::1/",
            "https://[nonsense]/",
        ),
        *(
            "https://example.com/a b",
            " https://example.com",
            "https://example.com ",
            "https://example.com\\@evil.example",
        ),
        "https://example.com/" + "a" * (2049 - 20),
    ],
)
def test_a_url_that_cannot_be_posted_to_is_invalid(url: str) -> None:
    assert messages(webhook_url=url) == {"webhook_url": ["is invalid"]}


@each("place", ["https://exam{}ple.com/", "https://example.com/{}", "https://example.com/{}x", "{}https://example.com"])
def test_a_control_character_makes_a_url_invalid(place: str) -> None:
    for character in ("\0", "\r", "\n", "\t", "\r\n", "\x1b", "\x7f", "\x85", "\xa0", "\u2028", "\ud800"):
        assert messages(webhook_url=place.format(character)) == {"webhook_url": ["is invalid"]}, ascii(character)


@each("url", ["", " ", "\t\n", None])
def test_a_blank_url_is_blank(url: str | None) -> None:
    assert messages(webhook_url=url) == {"webhook_url": ["can't be blank"]}
    assert messages(partial=True, webhook_url=url) == {"webhook_url": ["can't be blank"]}


def test_a_missing_url_is_blank() -> None:
    with pytest.raises(ValidationError) as caught:
        SCHEMA.load({"events": ["invoice_paid"]})

    assert caught.value.messages_dict == {"webhook_url": ["can't be blank"]}


@each("url", [5, True, [], {}, ["https://example.com"]])
def test_a_url_that_is_no_string_is_invalid(url: object) -> None:
    assert messages(webhook_url=url) == {"webhook_url": ["is invalid"]}


@given(st.text())
def test_any_text_is_a_url_or_gets_one_message(url: str) -> None:
    loaded, said = outcome(webhook_url=url)

    if loaded is None:
        assert said == {"webhook_url": ["is invalid" if url.strip() else "can't be blank"]}
    else:
        assert loaded["webhook_url"] == url


# Auth header


@each("value", ["Bearer TOKEN", "Basic dXNlcjpwYXNz", "x", "a  b", "~!@#$%^&*()", "a" * 4096])
def test_an_auth_header_is_kept_as_it_is(value: str) -> None:
    assert loads(auth_header=value)["auth_header"] == value


@each("value", [None, ""])
def test_no_auth_header_is_null(value: str | None) -> None:
    assert loads(auth_header=value)["auth_header"] is None


@each(
    "value",
    [
        *("Bearer T\r\nX-Injected: 1", "Bearer T\nX: 1", "Bearer T\rX: 1", "Bearer T\n", "Bearer T\r\n", "\nBearer T"),
        *(
            "Bearer\0T",
            "Bearer\tT",
            "Bearer T\x7f",
            "Bearer \x1b",
            "Bearer ž",
            "Bearer \xa0",
            "Bearer \ud800",
            "Bearer \u2028",
        ),
        *(" Bearer T", "Bearer T ", " ", "a" * 4097),
    ],
)
def test_what_may_not_stand_in_a_header_is_invalid(value: Any) -> None:
    assert messages(auth_header=value) == {"auth_header": ["is invalid"]}


@each("value", [5, True, [], {}, ["Bearer T"]])
def test_an_auth_header_that_is_no_string_is_invalid(value: object) -> None:
    assert messages(auth_header=value) == {"auth_header": ["is invalid"]}


@given(st.text(min_size=1))
def test_an_accepted_auth_header_is_one_line_of_printable_ascii(value: str) -> None:
    loaded, said = outcome(auth_header=value)

    if loaded is None:
        assert said == {"auth_header": ["is invalid"]}
    else:
        assert loaded["auth_header"] == value == value.strip()
        assert value.isascii()
        assert value.isprintable()


# Events


def test_every_event_of_the_catalogue_may_be_wanted() -> None:
    assert loads(events=list(EVENT_TYPES))["events"] == list(EVENT_TYPES)


@each("events", [[], None])
def test_events_cannot_be_empty(events: list[Any] | None) -> None:
    assert messages(events=events) == {"events": ["can't be empty"]}
    assert messages(partial=True, events=events) == {"events": ["can't be empty"]}


def test_missing_events_are_empty() -> None:
    with pytest.raises(ValidationError) as caught:
        SCHEMA.load({"webhook_url": "https://example.com"})

    assert caught.value.messages_dict == {"events": ["can't be empty"]}


@each("name", ["", "invoice", "INVOICE_PAID", "invoice_paid ", "estimate_created", "*"])
def test_an_unknown_event_is_not_included_in_the_list(name: str) -> None:
    (text,) = messages(events=["invoice_paid", name])["events"]
    assert text.startswith(f'is not included in the list: "{name}"; ')


def test_each_unknown_event_is_told_with_the_nearest_there_are() -> None:
    assert messages(events=["invoice_payed", "invoice_paid", "webhook_recoverd", "invoice_payed"]) == {
        "events": [
            'is not included in the list: "invoice_payed";'
            " did you mean invoice_paid or invoice_payment_added or invoice_payment_removed?",
            'is not included in the list: "webhook_recoverd"; did you mean webhook_recovered or webhook_deactivated?',
        ]
    }


@each(
    ("wildcard", "meant"),
    [
        ("inventory_move_*", ["inventory_move_created", "inventory_move_updated", "inventory_move_removed"]),
        ("expense_*_removed", ["expense_payment_removed"]),
        ("*_unlocked", ["invoice_unlocked", "expense_unlocked"]),
        ("*", list(EVENT_TYPES)),
        ("webhook_deactivated", ["webhook_deactivated"]),
    ],
)
def test_what_a_wildcard_stands_for(wildcard: str, meant: list[str]) -> None:
    assert FilteredWebhookSchema().load({"events": [wildcard]}, partial=True) == {"events": [wildcard]}
    assert active().subscribed([wildcard, *meant]) == meant


@each("wildcard", ["oder_*", "webhook_*", "Invoice*", "invoice.*", "invoice%*", "*" * 101, "* "])
def test_a_wildcard_that_means_no_event_is_refused(wildcard: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FilteredWebhookSchema().load({"events": ["invoice_paid", wildcard]}, partial=True)

    (text,) = caught.value.messages_dict["events"]
    assert text.startswith(f'is not included in the list: "{wildcard}"; ')


def test_a_wildcard_is_matched_at_once_however_many_stars_it_has() -> None:
    assert as_pattern(["*" * 99 + "x", "*a" * 49 + "*b"]).fullmatch("a" * 100) is None
    assert as_pattern(["order.*", "**_*paid"]).fullmatch("invoice_paid")


def test_wildcards_are_a_hundred_at_most() -> None:
    with pytest.raises(ValidationError, match="at most 100 wildcards"):
        FilteredWebhookSchema().load({"events": ["*" * n for n in range(1, 102)]}, partial=True)


@each("events", ["invoice_paid", 5, True, {"invoice_paid": True}])
def test_events_that_are_no_array_are_invalid(events: object) -> None:
    assert messages(events=events) == {"events": ["is invalid"]}


@each("item", [None, 5, True, [], {}, ["invoice_paid"]])
def test_an_event_that_is_no_string_is_invalid(item: object) -> None:
    assert messages(events=["invoice_paid", item]) == {"events": {1: ["is invalid"]}}


def test_an_event_wanted_twice_is_wanted_once() -> None:
    assert loads(events=["invoice_paid", "expense_paid", "invoice_paid"])["events"] == ["invoice_paid", "expense_paid"]


# Active


@each("active", [True, False])
def test_a_webhook_is_active_or_not(active: bool) -> None:
    assert loads(active=active)["active"] is active


def test_null_is_neither_active_nor_not() -> None:
    assert messages(active=None) == {"active": ["is not included in the list; allowed: true, false"]}


@each("active", ["true", "", 1, 0, []])
def test_what_is_merely_truthy_is_not_active(active: int | list[Any] | str) -> None:
    assert messages(active=active) == {"active": ["not a boolean"]}


# The whole object


def test_only_what_was_written_is_loaded() -> None:
    assert SCHEMA.load(WRITTEN) == WRITTEN


@each(
    "changes",
    [
        {},
        {"active": False},
        {"events": ["invoice_paid"]},
        {"auth_header": None},
        {"webhook_url": "https://example.com/"},
    ],
)
def test_a_patch_may_hold_any_subset(changes: dict[str, Any]) -> None:
    assert SCHEMA.load(changes, partial=True) == changes


def test_a_patch_is_checked_like_the_whole() -> None:
    assert messages(partial=True, webhook_url="ftp://example.com", events=["surplus"], auth_header="a\nb") == {
        "webhook_url": ["is invalid"],
        "auth_header": ["is invalid"],
        "events": ['is not included in the list: "surplus"; the catalogue (event_types.json) lists them all'],
    }


@each("name", [*READ_ONLY, "surplus", "secret"])
def test_what_is_not_writable_is_refused(name: str) -> None:
    change: dict[str, Any] = {name: 1}
    assert messages(**change) == {name: ["Unknown field."]}
    assert messages(partial=True, **change) == {name: ["Unknown field."]}


@each("data", [None, 5, "text", [], [1], [["a", "b"]], True])
def test_what_is_no_object_is_refused(data: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        SCHEMA.load(data)

    assert caught.value.messages_dict == {"_schema": ["Invalid input type."]}


def test_what_is_written_is_not_changed() -> None:
    data = {"webhook_url": "", "auth_header": "", "events": ["invoice_paid", "invoice_paid"]}

    with pytest.raises(ValidationError):
        SCHEMA.load(data)

    assert data == {"webhook_url": "", "auth_header": "", "events": ["invoice_paid", "invoice_paid"]}


def test_a_webhook_is_returned_with_its_attributes_in_the_documented_order() -> None:
    stored = {
        "updated_at": datetime(2024, 6, 12, 11, 29, 23, 568_000, tzinfo=UTC),
        "created_at": datetime(2024, 6, 12, 11, 29, 23, 568_000, tzinfo=UTC),
        "url": "https://app.fakturoid.cz/api/v3/accounts/applecorp/webhooks/5.json",
        "events": ["invoice_created", "invoice_updated", "invoice_paid"],
        "active": True,
        "auth_header": "Bearer TOKEN",
        "webhook_url": "https://example.com/webhook",
        "failed_deliveries_uuid": UUID("b3518e74-5c9f-4b26-a5e2-6a8021c94a77"),
        "id": 5,
        "secret": "never returned",
    }

    dumped = SCHEMA.dump(stored)

    assert list(dumped) == HTTP["Webhook"]
    assert dumped == example("webhook")


EXTRAS = WebhookWithExtrasSchema()
NOT_IN_LIST = "is not included in the list"
VERSIONS, SIGNINGS = "allowed: v3, legacy", "allowed: standard, none"


@each(
    ("given", "message"),
    [
        ({"description": "x" * 1_001}, "is too long (maximum is 1000 characters)"),
        ({"description": "\0"}, "is invalid"),
        ({"description": "\ud800"}, "is invalid"),
        ({"description": 5}, "is invalid"),
        ({"payload_version": "v4"}, f'{NOT_IN_LIST}: "v4"; {VERSIONS}'),
        ({"payload_version": None}, f"{NOT_IN_LIST}; {VERSIONS}"),
        ({"rate_limit": 0}, "must be greater than 0"),
        ({"rate_limit": 100_001}, "must be less than or equal to 100000"),
        ({"rate_limit": "5"}, "is not a number"),
        ({"rate_limit": True}, "is not a number"),
        ({"rate_limit": 5.5}, "is not a number"),
        ({"signing": "maybe"}, f'{NOT_IN_LIST}: "maybe"; {SIGNINGS}'),
        ({"signing": None}, f"{NOT_IN_LIST}; {SIGNINGS}"),
    ],
)
def test_extras_that_may_not_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        EXTRAS.load(given, partial=True)

    assert caught.value.messages_dict == {name: [message] for name in given}


def test_extras_load_as_they_came_and_are_none_of_the_documented_object() -> None:
    given = {"description": "for the books", "payload_version": "legacy", "rate_limit": 5, "signing": "none"}

    assert EXTRAS.load(given, partial=True) == given
    assert EXTRAS.load({"description": None, "rate_limit": None}, partial=True) == {
        "description": None,
        "rate_limit": None,
    }
    assert list(EXTRAS.fields)[: len(SCHEMA.fields)] == list(SCHEMA.fields)
    assert not given.keys() & SCHEMA.fields.keys()


def test_an_object_is_no_list_of_events() -> None:
    assert messages(events={"invoice_paid": 1}) == {"events": ["is invalid"]}
