import time

from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.schemas.wire.choices import allowed, did_you_mean, no_such_event, not_among
from tests.support.cases import each


@each(
    ("word", "nearest"),
    [
        ("invoice_payed", "invoice_paid"),
        ("InvoicePaid", "invoice_paid"),
        ("invoice.paid", "invoice_paid"),
        ("paid-invoice", "invoice_paid"),
        ("invoce_paid", "invoice_paid"),
        ("recurring_generator_create", "recurring_generator_created"),
    ],
)
def test_the_nearest_is_told_first(word: str, nearest: str) -> None:
    assert did_you_mean(word, EVENT_TYPES).startswith(f"did you mean {nearest}")


@each("word", ["", "zzz", "x" * 100_000, "\ud800", "účet"])
def test_where_none_is_near_it_is_told_where_all_are(word: str) -> None:
    assert did_you_mean(word, EVENT_TYPES) == "the catalogue (event_types.json) lists them all"


def test_the_documented_text_comes_first_then_the_value_then_what_may_be() -> None:
    assert allowed(("true", "false")) == "is not included in the list; allowed: true, false"
    assert not_among("v4", ("v3", "legacy")) == 'is not included in the list: "v4"; allowed: v3, legacy'
    assert no_such_event("x\n" + "y" * 300, EVENT_TYPES).startswith(r'is not included in the list: "x\nyyy')
    assert len(no_such_event("y" * 10**6, EVENT_TYPES)) < 400


def test_a_thousand_wrong_names_cost_little() -> None:
    began_s = time.process_time()
    for number in range(1_000):
        did_you_mean(f"invoice_{number}_{'x' * 80}", EVENT_TYPES)

    assert time.process_time() - began_s < 1  # 0.08 s where nothing else runs
