"""Things with defaults, so that a test names only what it is about."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from dispatcher.model.account import Account
from dispatcher.model.attempt import Result
from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.event import EventDraft
from dispatcher.model.webhook import PayloadVersion, SigningKeys, Target, Webhook
from dispatcher.pipeline.emit import NewEvent
from dispatcher.schedule.schedule import Release
from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.storage.admin import accounts, webhooks
from dispatcher.storage.admin.passwords import Passwords
from dispatcher.storage.engine import Storage, rows
from tests.support.places import EXAMPLES

SECRET_KEY = base64.urlsafe_b64encode(b"32 bytes, which only tests know.").decode()
"""A Fernet key, the one of SECRET_KEYS in tests."""
PASSWORD_MEMORY_KIB = 32
"""The least that argon2 takes: only tests of its price pay it."""
PASSWORDS = Passwords(PASSWORD_MEMORY_KIB)
KEY = UUID("0190163d-8694-739b-aea5-966c26f8ad91")
SIGNING_KEY = b"0123456789abcdef0123456789abcdef"
SIGNING_SECRET = "whsec_" + base64.b64encode(SIGNING_KEY).decode()
SIGNING_KEYS = SigningKeys(secret=SIGNING_SECRET, hmac=SIGNING_KEY)
NOON = datetime(2026, 6, 13, 12, 0, tzinfo=UTC)


_SMALL = {
    "invoice": {"id": 93, "number": "2024-0056", "status": "paid", "total": "1089.0", "paid_on": "2024-06-13"},
    "payment": {"id": 42, "paid_on": "2024-06-13"},
}


@cache
def _example(name: str) -> str:
    path = EXAMPLES / f"webhook_event_{name}.json"
    return json.dumps(json.loads(path.read_text(encoding="utf-8"))["body"] if path.exists() else _SMALL)


def a_body(name: str = "invoice_paid") -> dict[str, Any]:
    """An event's body as a service hands it over: API v3's own example, where there is one."""
    body: dict[str, Any] = json.loads(_example(name))
    return {key: value for key, value in body.items() if key in EVENT_TYPES[name].keys}


def an_event(name: str = "invoice_paid", **given: Any) -> NewEvent:
    """A NewEvent, ready for `record_events`."""
    return NewEvent(name=name, **(given if "body" in given else {"body": a_body(name)} | given))


def a_draft(name: str = "invoice_paid", body_json: str = '{"invoice":{"id":1}}', **given: Any) -> EventDraft:
    """An event rendered already, ready for `storage.emits.insert`."""
    return EventDraft(name=name, body_json=body_json.encode(), **given)


def an_account(storage: Storage, slug: str = "applecorp", time_zone: str = "Europe/Prague") -> Account:
    """A stored account."""
    return storage.transact(accounts.create, slug, time_zone)


def a_webhook(
    storage: Storage,
    account: Account,
    url: str = "http://127.0.0.1:9/hook",
    events: Sequence[str] = ("invoice_paid",),
    **given: Any,
) -> Webhook:
    """A stored webhook; `given` are more of its attributes."""
    attributes = {
        "webhook_url": url,
        "events": list(events),
        "auth_header": None,
        "active": True,
        "payload_version": "v3",
    }
    return storage.transact(webhooks.create, storage.secrets, account.id, attributes | given)


def a_claimed(**given: Any) -> ClaimedDelivery:
    """A delivery as a drain holds it: `invoice_paid` for webhook 5, first attempt."""
    defaults: dict[str, Any] = {
        "id": 7,
        "webhook_id": 5,
        "idempotency_key": KEY,
        "attempt_number": 1,
        "lease_token": uuid4(),
        "event_name": "invoice_paid",
        "event_created_at": NOON,
        "body_json": '{"invoice":{"id":93,"number":"2024-0056"}}',
        "time_zone": "Europe/Prague",
    }
    return ClaimedDelivery(**(defaults | given))


def a_target(**given: Any) -> Target:
    """Where webhook 5 wants its POSTs."""
    defaults: dict[str, Any] = {
        "webhook_id": 5,
        "url": "https://example.com/hook",
        "auth_header": None,
        "signing_keys": (SIGNING_KEYS,),
        "payload_version": PayloadVersion.V3,
    }
    return Target(**(defaults | given))


def a_result(status: str = "200", **given: Any) -> Result:
    """What a request came to, after 50 ms."""
    defaults: dict[str, Any] = {"tag": 7, "status": status, "started_s": 10.0, "finished_s": 10.05}
    return Result(**(defaults | given))


DRAIN = "1/drain"
"""The token of a drain that holds webhooks."""


def released(waits_s: Mapping[int, float | None]) -> list[Release]:
    """What a drain says of webhooks it lets go, of which it knows only when they are due next."""
    return [Release(webhook_id=webhook, wait_s=wait_s) for webhook, wait_s in waits_s.items()]


def a_history(storage: Storage, delivery_id: int, count: int) -> None:
    """So many newer, delivered deliveries of the same event to the same webhook."""
    sql = """
    insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, finished_on)
    select id, event_id, webhook_id, dispatcher.new_idempotency_key(id), 'delivered', current_date from (
        select nextval('dispatcher.delivery_id') as id, event_id, webhook_id
        from dispatcher.deliveries, generate_series(1, %(count)s)
        where deliveries.id = %(id)s) made
    """
    storage.transact(rows, sql, id=delivery_id, count=count)
