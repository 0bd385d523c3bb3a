"""Why a delivery waits, in a word and in a sentence."""

from dataclasses import replace
from typing import Any

from dispatcher.model.health import Health
from dispatcher.replays.waiting import explain
from dispatcher.settings import Settings
from dispatcher.storage.reads.delivery_status import AHEAD_CAP, WaitFacts
from tests.support.builders import NOON
from tests.support.cases import each

SETTINGS = Settings(database_url="", redis_url="", broker_url="", secret_keys=())
FACTS = WaitFacts(
    webhook_id=5, active=True, deleted=False, deactivated_reason=None, rate_limit=None, retry_schedule=None, attempts=2,
    leased=False, held_back=False, resource=None, due_at=NOON, is_due=False, due_before=0,
)  # fmt: skip
WELL, OPEN = Health(window=10), Health(window=1, consecutive_failures=12)


@each(
    ("given", "health", "pause_s", "reason", "said"),
    [
        ({}, WELL, None, "backing_off", "after 2 failed attempts, the next one follows in 1 min ± 20%"),
        ({"attempts": 1}, None, None, "backing_off", "after 1 failed attempt, the next one follows in 20 s"),
        ({"retry_schedule": "gentle"}, None, None, "backing_off", "follows in 1 h ± 20%"),
        ({"retry_schedule": (60, 90)}, None, None, "backing_off", "follows in 1 min ± 20%"),
        ({}, OPEN, None, "backing_off", "after 2 failed attempts"),
        ({"attempts": 0}, None, None, "postponed", "Postponed without an attempt"),
        ({"is_due": True}, None, None, "due", "Due. It is sent as soon as fewer requests"),
        ({"is_due": True, "due_before": 1}, None, None, "due", "Due, behind 1 delivery of this webhook."),
        ({"is_due": True, "due_before": AHEAD_CAP}, None, None, "due", "behind at least 1\N{NARROW NO-BREAK SPACE}000"),
        ({"is_due": True, "rate_limit": 7}, WELL, None, "rate_limited", "The webhook's rate limit allows 7 per second"),
        ({"is_due": True}, WELL, 43.0, "paused", "Paused for another 43 s, because the receiver sent a Retry-After"),
        ({"is_due": True}, OPEN, 43.0, "circuit_open",
         "The circuit breaker is open after 12 consecutive failures. Nothing is sent for another 43 s, then one"),
        ({"is_due": True}, OPEN, None, "circuit_open", "One delivery at a time is sent as a probe"),
        ({"leased": True}, OPEN, 43.0, "sending", "A worker is sending this delivery"),
        ({"kept": True}, None, None, "kept", "until it is fetched"),
        ({"held_back": True, "resource": "invoice:93"}, OPEN, 4.0, "held_back", "an earlier delivery of invoice:93"),
        ({"active": False, "deactivated_reason": "gone"}, OPEN, 43.0, "inactive", "is inactive (gone)"),
    ],
)  # fmt: skip
def test_why_the_next_attempt_is_when_it_is(
    given: dict[str, Any], health: Health | None, pause_s: float | None, reason: str, said: str
) -> None:
    waiting = explain(replace(FACTS, **given), health, pause_s, SETTINGS)

    assert (waiting.reason, said in waiting.text) == (reason, True), waiting.text
