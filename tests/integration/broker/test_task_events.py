"""What Flower hears of deliveries, through the broker, as Celery's own events."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from dispatcher.broker.config import configure
from dispatcher.broker.flower import PENDING_MAX, AttemptEvent, TaskEvents
from tests.support.waiting import eventually

KEY = "0190163d-8694-739b-aea5-966c26f8ad"


def told(**given: Any) -> AttemptEvent:
    defaults: dict[str, Any] = {
        "key": f"{KEY}91",
        "event_name": "invoice_paid",
        "webhook_id": 5,
        "attempt": 1,
        "status": "503",
        "state": "pending",
        "retry_in_s": 20.0,
    }
    return AttemptEvent(**(defaults | given))


@pytest.fixture
def heard(redis_url: str) -> Iterator[list[dict[str, Any]]]:
    """Every event on the broker, as it comes."""
    events: list[dict[str, Any]] = []
    over = threading.Event()
    app = Celery("listening", set_as_current=False)
    configure(app, redis_url)

    def listen() -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": events.append})
            while not over.is_set():
                try:
                    receiver.capture(limit=None, timeout=0.2, wakeup=False)
                except TimeoutError:
                    continue

    thread = threading.Thread(target=listen)
    thread.start()
    yield events
    over.set()
    thread.join()


ATTEMPTS = [
    (told(key=f"{KEY}91"), "task-retried", "exception", "503, attempt 1; next attempt in 20 s"),
    (
        told(key=f"{KEY}92", attempt=6, state="failed", retry_in_s=None),
        "task-failed",
        "exception",
        "503, attempt 6; no attempts left",
    ),
    (
        told(key=f"{KEY}93", attempt=2, status="204", state="delivered", retry_in_s=None),
        "task-succeeded",
        "result",
        "204, attempt 2",
    ),
]


def test_an_attempt_is_a_step_in_the_life_of_a_task(redis_url: str, heard: list[dict[str, Any]]) -> None:
    events = TaskEvents(redis_url, gap_s=0.01)
    events.hostname = "worker1@here"

    for attempt, kind, field, text in ATTEMPTS:

        def came(attempt: AttemptEvent = attempt, kind: str = kind) -> dict[str, Any]:
            events.publish(attempt)  # again and again: who listens may have come too late for the first
            seen = {event["type"]: event for event in list(heard) if event.get("uuid") == attempt.key}
            return seen if {kind, "task-received"} <= seen.keys() else {}  # it may have come in the middle, too

        life = eventually(came, 10, f"a {kind}")
        assert life[kind]["hostname"] == "worker1@here"
        assert life[kind][field] == text
        assert life["task-received"]["name"] == "delivery:invoice_paid"
        assert life["task-received"]["args"] == "(webhook 5)"


def test_beyond_the_rate_nothing_waits_and_nothing_piles_up(redis_url: str) -> None:
    events = TaskEvents(redis_url, gap_s=10)
    for _ in range(PENDING_MAX * 3):
        events.publish(told())

    assert events._pending.qsize() <= PENDING_MAX
    assert events._dropped >= PENDING_MAX * 2 - 2


def test_a_broker_that_is_down_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    events = TaskEvents("redis://127.0.0.1:1/0", gap_s=0.01)
    events.publish(told())

    eventually(lambda: "task_events.failed" in caplog.text, 10, "the log")  # with more, it would go on in later tests
