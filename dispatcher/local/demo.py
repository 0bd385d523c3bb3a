"""The demo: an account, three receivers of which one fails and is retried, and API v3 events from signals to POSTs.

It uses what a production set-up uses: embedded servers, the Procfile's workers as processes, the public signals. Only
the waits between attempts are shorter, so that a retry's success and a final failure are seen within half a minute.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from dispatcher.local.receiver import Arrival

SLUG = "applecorp"

SETTINGS = {
    "DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8",
    "DISPATCHER_RETRY_BASE_S": "1",
    "DISPATCHER_RETRY_FACTOR": "1.8",
    "DISPATCHER_TIMEOUT_S": "5",
    "DISPATCHER_LEASE_S": "15",
    "DISPATCHER_RECONCILE_S": "5",
    "DISPATCHER_LOG_LEVEL": "info",
}
"""What the demo sets for its processes; a variable that is set already stays."""

FAILURES_OF_FLAKY = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoWebhook:
    """A webhook of the demo: its receiver's path, its events, and how it is called."""

    path: str
    events: tuple[str, ...]
    auth_header: str | None = None
    payload_version: str = "v3"


DEMO_WEBHOOKS = (
    DemoWebhook(
        path="/healthy",
        events=(
            "invoice_created",
            "invoice_paid",
            "expense_created",
            "subject_created",
            "inventory_move_created",
            "inbox_file_removed_all",
        ),
        auth_header="Bearer of-the-receivers-choice",
    ),
    DemoWebhook(path="/flaky", events=("invoice_paid", "subject_created")),
    DemoWebhook(path="/dead", events=("expense_created",)),
    DemoWebhook(path="/legacy?token=in-the-url", events=("invoice_paid",), payload_version="legacy"),
)


def demo_events() -> Iterator[tuple[str, dict[str, Any]]]:
    """The demo's events: name and keywords of the signal."""
    invoice, payment = _body("invoice"), _body("invoice_payment")
    yield "invoice_created", {"invoice": invoice}
    yield "invoice_paid", {"invoice": invoice | {"payments": [payment]}, "payment": payment}
    yield "expense_created", {"expense": _body("expense")}
    yield "subject_created", {"subject": _body("subject")}
    yield (
        "inventory_move_created",
        {"inventory_move": _body("inventory_move"), "inventory_item": _body("inventory_item")},
    )
    yield "inbox_file_removed_all", {"inbox_files": {"count": 2}}


def _body(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((files("dispatcher.local") / "bodies" / f"{name}.json").read_text("utf-8"))
    return body


@dataclass(slots=True)
class Arrivals:
    """What the receivers got. Some fail on purpose; all check the signature."""

    keys_by_path: dict[str, list[bytes]] = field(default_factory=dict)
    """Path → the signing keys of its webhook, filled in once the webhook exists."""
    received: list[tuple[Arrival, int, bool]] = field(default_factory=list)
    """The arrival, the status of the response, whether the signature was valid."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _attempts: Counter[str] = field(default_factory=Counter)

    def answer(self, arrival: Arrival) -> int:
        """503 for the first two attempts of each delivery to /flaky, 500 always on /dead, else 200."""
        signed = arrival.is_signed(self.keys_by_path.get(arrival.path, []))
        with self._lock:
            self._attempts[arrival.key] += 1
            status = 200
            if arrival.path == "/dead":
                status = 500
            elif arrival.path == "/flaky" and self._attempts[arrival.key] <= FAILURES_OF_FLAKY:
                status = 503
            self.received.append((arrival, status, signed))
        return status

    def on(self, path: str) -> list[Arrival]:
        """The POSTs to a path, in order."""
        with self._lock:
            return [arrival for arrival, _, _ in self.received if arrival.path == path]

    @property
    def all_signed(self) -> bool:
        """Whether every POST had a valid signature."""
        with self._lock:
            return bool(self.received) and all(signed for _, _, signed in self.received)
