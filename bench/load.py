"""What is sent: accounts, webhooks and events as a service would make them, and backlogs laid down in bulk."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.rig import Rig
from dispatcher.model.account import Account
from dispatcher.model.event import EventDraft
from dispatcher.schemas import active
from dispatcher.storage.admin import accounts, webhooks
from dispatcher.storage.pipeline import emits

EVENT = "invoice_paid"
TIME_ZONE = "Europe/Prague"
CHUNK = 500


@cache
def body() -> dict[str, Any]:
    """An invoice that was paid, with one line and one payment: 3.5 KB as JSON."""
    parsed: dict[str, Any] = json.loads((Path(__file__).parent / "invoice_paid.json").read_text(encoding="utf-8"))
    return parsed


@cache
def body_json() -> str:
    """The same as it is stored and sent."""
    return active().event(EVENT).render(body(), TIME_ZONE)[0].decode()


def make_accounts(rig: Rig, count: int, urls: Sequence[str], label: str = "account") -> list[Account]:
    """`count` accounts, each with one webhook for each of `urls`, in one transaction."""
    owners = []
    with rig.container.storage.transaction() as connection:
        for number in range(count):
            account = accounts.create(connection, f"{label}{number}", TIME_ZONE)
            for url in urls:
                webhooks.create(connection, rig.container.storage.secrets, account.id, _attributes(url))
            owners.append(account)
    return owners


def record_events(rig: Rig, owners: Sequence[Account], count: int) -> None:
    """Lays `count` events into the outbox, the accounts in turn; workers leave them there until `rig.nudge`."""
    rig.hold_nudges()
    share, rest = divmod(count, len(owners))
    draft = EventDraft(name=EVENT, body_json=body_json().encode())
    with rig.container.storage.transaction() as connection:
        for number, account in enumerate(owners):
            left = share + (number < rest)
            while left > 0:
                emits.insert(connection, account.id, [draft] * min(left, CHUNK))
                left -= CHUNK


def _attributes(url: str) -> dict[str, Any]:
    return {"webhook_url": url, "auth_header": None, "active": True, "events": [EVENT], "payload_version": "v3"}
