"""How the console writes things, and the reasons it gives."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.console import charts, formatting
from dispatcher.console.explanations import why_not_sent
from dispatcher.phrases import counted, span
from dispatcher.storage.reads.events import EmittedEvent, NonRecipient
from dispatcher.storage.stats.rollups import Bucket, quantile_s
from tests.support.builders import NOON
from tests.support.cases import each


@each(
    ("seconds", "text"),
    [
        (None, "–"),
        (-3, "0 ms"),
        (0.084, "84 ms"),
        (1.24, "1.2 s"),
        (45, "45 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (7_500, "2 h 5 min"),
        (7_200, "2 h"),
        (4 * 86_400 + 3 * 3_600, "4 d 3 h"),
    ],
)
def test_spans(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_a_query_is_only_hinted_at() -> None:
    assert formatting.short_url("https://a.test/x?token=1") == "a.test/x?…"
    assert formatting.short_url("poll:") == "polled"
    assert formatting.without_query("https://a.test:8/x") == "https://a.test:8/x"


ID = int((NOON - datetime(2020, 1, 1, tzinfo=UTC)).total_seconds()) << 23
EVENT = EmittedEvent(
    id=ID,
    name="invoice_paid",
    version=1,
    created_at=NOON,
    idempotency_key=None,
    body={},
    is_waiting=False,
    erasure=None,
)
BEFORE, AFTER = NOON - timedelta(days=1), NOON + timedelta(days=1)
ONLOOKER = NonRecipient(
    filter_matches=True,
    id=5, webhook_url="", active=True, subscribed=True, payload_version="v3", created_at=BEFORE,
    updated_at=BEFORE, deleted_at=None, deactivated_at=None,
)  # fmt: skip


@each(
    ("given", "said"),
    [
        ({"created_at": AFTER}, "created after the event"),
        ({"subscribed": False}, "Not subscribed to this event."),
        ({"active": False}, "is inactive"),
        ({"updated_at": AFTER}, "has been changed since"),
        ({}, "has been deleted"),
    ],
)
def test_why_an_event_passed_a_webhook_by(given: dict[str, Any], said: str) -> None:
    assert said in why_not_sent(EVENT, replace(ONLOOKER, **given))


def test_why_an_event_passed_all_by() -> None:
    legacy = replace(ONLOOKER, payload_version="legacy", subscribed=False)
    assert "no legacy payload" in why_not_sent(replace(EVENT, name="invoice_sent"), legacy)
    assert "not been fanned out yet" in why_not_sent(replace(EVENT, is_waiting=True), ONLOOKER)


def test_a_sparkline_has_a_bar_for_each_hour_in_which_there_was_something() -> None:
    figures = [
        Bucket(at=NOON - timedelta(hours=2), delivered=10, failed=0, retried=0),
        Bucket(at=NOON, delivered=5, failed=3, retried=2),
    ]
    line = charts.sparkline(figures, NOON + timedelta(minutes=5))

    assert [bar.x for bar in line.bars] == [21 * 5, 23 * 5]
    assert [(bar.delivered_height, bar.failed_height) for bar in line.bars] == [(24, 0), (12, 12)]
    assert line.text == "last 24 hours: 15 delivered, 3 failed, 2 retries"
    assert charts.sparkline([], NOON).bars == ()


def test_minutes_without_anything_are_there_too() -> None:
    found = charts.all_minutes([Bucket(at=NOON, delivered=1, failed=0, retried=0)], NOON + timedelta(seconds=90))

    assert len(found) == 60
    assert [one.delivered for one in found[-3:]] == [0, 1, 0]


def test_quantiles_come_from_buckets() -> None:
    assert quantile_s({}, 0.5) is None
    assert quantile_s({0: 1}, 0.5) == 0.001
    assert quantile_s({10: 90, 40: 10}, 0.95) == pytest.approx(1.25**40 / 1000)


@each(
    ("value", "noun", "text"),
    [
        (1, "attempt", "1 attempt"),
        (0, "attempt", "0 attempts"),
        (2, "delivery", "2 deliveries"),
        (1, "delivery", "1 delivery"),
        (12_345, "retry", "12\N{NARROW NO-BREAK SPACE}345 retries"),
    ],
)
def test_what_is_counted_is_one_or_many(value: int, noun: str, text: str) -> None:
    assert counted(value, noun) == text
