"""Input that looks harmless: blanks of other scripts in a URL, a time without a zone, names that no log can hold."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from marshmallow import ValidationError

from dispatcher.schemas import InvalidEvent
from dispatcher.schemas.api.webhook import WebhookSchema
from dispatcher.schemas.envelopes import envelope_json
from dispatcher.schemas.wire.fields import render_datetime
from tests.support.bodies import render_body
from tests.support.cases import each

BLANKS = [
    *"\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680",
    *map(chr, range(0x2000, 0x200B)),
    *"\u2028\u2029\u202f\u205f\u3000",
]


def refusal(event_name: Any, body: Any) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        render_body(event_name, body)
    return caught.value


@each("place", ["https://example.com/{}", "https://example.com/a{}b", "https://exam{}ple.com/"])
def test_a_blank_of_any_script_makes_a_url_invalid(place: str) -> None:
    for blank in BLANKS:
        with pytest.raises(ValidationError) as caught:
            WebhookSchema().load({"webhook_url": place.format(blank), "events": ["invoice_paid"]})

        assert caught.value.messages_dict == {"webhook_url": ["is invalid"]}, ascii(blank)


def test_a_naive_time_is_never_taken_for_the_local_time_of_the_machine() -> None:
    naive = datetime(2024, 6, 13, 12)

    with pytest.raises(ValidationError, match="needs a time zone"):
        render_datetime(naive, ZoneInfo("Europe/Prague"))
    with pytest.raises(ValidationError, match="needs a time zone"):
        envelope_json(
            webhook_id=1, event_name="invoice_paid", created_at=naive, body_json="{}", time_zone="Europe/Prague"
        )


@each("name", ["sur\ud800plus", "sur\0plus", "sur\nplus", "sur\u2028plus"])
def test_a_message_is_one_printable_line_whatever_the_names(name: str) -> None:
    for refused in (
        refusal(name, {}),
        refusal("invoice_created", {"invoice": {"id": 1}, name: 1}),
        refusal("invoice_created", {"invoice": {"id": 1, name: 1}}),
    ):
        assert str(refused).isprintable()
        assert ascii(name)[1:-1] in str(refused)
        str(refused).encode()


def test_a_long_name_is_cut_in_the_message_but_not_in_the_problems() -> None:
    name = "k" * 100_000

    refused = refusal("invoice_created", {"invoice": {"id": 1, name: 1}})

    assert len(str(refused)) < 300
    assert refused.problems == ((f"invoice.{name}", "unknown attribute"),)


def test_letters_of_other_scripts_stay_readable_in_a_message() -> None:
    assert str(refusal("faktura_založena", {})) == (
        "faktura_založena: is not an event of the catalogue; the catalogue (event_types.json) lists them all"
    )


def test_a_name_that_is_no_string_is_refused_like_an_unknown_one() -> None:
    assert str(refusal(None, {})).startswith("None: is not an event of the catalogue; ")


def test_an_array_that_is_wrong_in_many_places_is_not_gone_through_to_its_end() -> None:
    problems = refusal("invoice_created", {"invoice": {"id": 1, "lines": [7] * 100_000}}).problems

    assert sum(path.startswith("invoice.lines[") for path, _ in problems) == 10_000
