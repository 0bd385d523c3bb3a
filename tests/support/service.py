"""A company's own program, which calls /api/v1 with a service token."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from dispatcher.access import service_tokens
from dispatcher.container import Container
from dispatcher.storage.admin.service_tokens import FULL, ServiceToken
from tests.support.api import Calls, Server, a_delivery, request
from tests.support.event_types import TYPE


@dataclass(frozen=True, kw_only=True, slots=True)
class Service(Calls):
    """With a token of its own."""

    server: Server
    container: Container
    token: ServiceToken
    text: str = field(repr=False)

    @classmethod
    def of(cls, server: Server, container: Container, *scopes: str, lifetime: timedelta | None = None) -> "Service":
        """A new token with `scopes` (default: all)."""
        token, text = service_tokens.create(container.storage, "a test", scopes or FULL, lifetime)
        return cls(server=server, container=container, token=token, text=text)

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **given: Any) -> Any:
        """`path` is below /api/v1; `given` are requests' own."""
        sent = {"Authorization": f"Bearer {self.text}"} | (headers or {})
        return request(method, f"{self.server.url}/api/v1{path}", headers=sent, **given)


POLLED = {"delivery": "poll", "events": ["inbox_file_removed_all"]}
REPLAY = {"since": "2026-01-01T00:00:00+00:00"}
CHANNEL = {"name": "on call", "type": "email", "target": "ops@example.com"}
V1_ROUTES: dict[str, tuple[str, Any]] = {
    "GET /accounts": ("accounts:read", None),
    "GET {account}": ("accounts:read", None),
    "PUT {account}": ("accounts", {}),
    "PATCH {account}": ("accounts", {"retention_days": 7}),
    "GET /event_types": ("catalogue:read", None),
    "PUT /event_types/{event_type}": ("catalogue", TYPE),
    "GET /event_types/{event_type}": ("catalogue:read", None),
    "DELETE /event_types/{event_type}": ("catalogue", None),
    "GET {account}/users": ("users:read", None),
    "POST {account}/users": ("users", {"email": "new@example.com"}),
    "DELETE {account}/users/{user}": ("users", None),
    "GET {account}/clients": ("clients:read", None),
    "POST {account}/clients": ("clients", {"name": "shop"}),
    "DELETE {account}/clients/{client}": ("clients", None),
    "GET {account}/webhooks": ("webhooks:read", None),
    "POST {account}/webhooks": ("webhooks", {"webhook_url": "https://example.com/x", "events": ["invoice_paid"]}),
    "GET {account}/webhooks/{webhook}": ("webhooks:read", None),
    "PATCH {account}/webhooks/{webhook}": ("webhooks", {"active": True}),
    "POST {account}/webhooks/{webhook}/ping": ("webhooks", None),
    "GET {account}/webhooks/{webhook}/secret": ("webhooks", None),
    "POST {account}/webhooks/{webhook}/secret/rotate": ("webhooks", {"previous_valid_for_s": 60}),
    "GET {account}/poll/{polled}": ("deliveries personal", None),
    "POST {account}/poll/{polled}/ack": ("deliveries", lambda things: {"cursor": f"{things['polled']}-0"}),
    "POST {account}/poll/{polled}/token/rotate": ("webhooks", {"previous_valid_for_s": 60}),
    "POST {account}/filter_preview": ("webhooks", {"filter": {"invoice": {"id": [1]}}, "events": ["invoice_paid"]}),
    "GET {account}/erasures": ("erasures:read", None),
    "POST {account}/erasures": ("erasures", {"digest": "0" * 64}),
    "GET {account}/erasures/{erasure}": ("erasures:read", None),
    "GET {account}/portal_sessions": ("portal:read", None),
    "POST {account}/portal_sessions": ("portal", {"role": "manage"}),
    "DELETE {account}/portal_sessions/{portal_session}": ("portal", None),
    "DELETE {account}/portal_sessions": ("portal", None),
    "GET /audit_log": ("audit:read", None),
    "GET {account}/audit_log": ("audit:read", None),
    "GET {account}/alert_channels": ("alerts:read", None),
    "POST {account}/alert_channels": ("alerts", CHANNEL),
    "GET {account}/alert_channels/{channel}": ("alerts:read", None),
    "PATCH {account}/alert_channels/{channel}": ("alerts", {"failing_after_minutes": 5}),
    "POST {account}/alert_channels/{channel}/test": ("alerts", None),
    "DELETE {account}/alert_channels/{channel}": ("alerts", None),
    "GET /alert_channels": ("alerts:read", None),
    "POST /alert_channels": ("alerts", CHANNEL),
    "GET /alert_channels/{operators_channel}": ("alerts:read", None),
    "PATCH /alert_channels/{operators_channel}": ("alerts", {"alerts": ["backlog"]}),
    "POST /alert_channels/{operators_channel}/test": ("alerts", None),
    "DELETE /alert_channels/{operators_channel}": ("alerts", None),
    "GET {account}/events": ("events:read", None),
    "GET {account}/events/{event}": ("events:read", None),
    "GET {account}/deliveries": ("deliveries:read", None),
    "GET {account}/deliveries/{delivery}": ("deliveries:read", None),
    "POST {account}/deliveries/{delivery}/redeliver": ("deliveries", None),
    "POST {account}/deliveries/{delivery}/retry": ("deliveries", None),
    "GET {account}/replays": ("deliveries:read", None),
    "POST {account}/replays": ("deliveries", REPLAY),
    "GET {account}/replays/{replay}": ("deliveries:read", None),
    "DELETE {account}/replays/{replay}": ("deliveries", None),
    "POST {account}/replays/{replay}/resume": ("deliveries", None),
    "POST {account}/events": (
        "events:write",
        {"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 1}}},
    ),
    "DELETE {account}/webhooks/{webhook}": ("webhooks", None),
    "DELETE {account}": ("accounts", None),
}
"""Every route below /api/v1 → the scope it needs, and a body it accepts, or what makes one of the things; in an order
in which all succeed."""


def things_of_v1(service: Service, account: str) -> dict[str, Any]:
    """New things of the account (its path), by the names in the routes."""
    webhook = {"webhook_url": "http://127.0.0.1:9/hook", "events": ["invoice_paid"]}
    webhook_id = service.post(f"{account}/webhooks", json=webhook).json()["id"]
    delivery_id = a_delivery(service, webhook_id)
    email, event_type = f"{uuid4().hex}@example.com", f"thing.made{uuid4().hex}"
    service.put(f"/event_types/{event_type}", json=TYPE)
    for channels in ("/alert_channels", f"{account}/alert_channels"):
        for one in service.get(channels).json()["data"]:  # those of earlier tests, whose names may be used again
            service.delete(f"{channels}/{one['id']}")
    for one in service.get(f"{account}/replays").json()["data"]:  # of which only some may run at once
        service.delete(f"{account}/replays/{one['id']}")
    return {
        "account": account,
        "event_type": event_type,
        "channel": service.post(f"{account}/alert_channels", json={**CHANNEL, "name": "old"}).json()["id"],
        "operators_channel": service.post("/alert_channels", json={**CHANNEL, "name": "old"}).json()["id"],
        "webhook": webhook_id,
        "polled": service.post(f"{account}/webhooks", json=POLLED).json()["id"],
        "delivery": delivery_id,
        "event": service.get(f"{account}/deliveries/{delivery_id}").json()["event_id"],
        "replay": service.post(f"{account}/replays", json=REPLAY).json()["id"],
        "erasure": service.post(f"{account}/erasures", json={"subject": "nobody"}).json()["id"],
        "portal_session": service.post(f"{account}/portal_sessions", json={}).json()["id"],
        "user": service.post(f"{account}/users", json={"email": email}).json()["id"],
        "client": service.post(f"{account}/clients", json={"name": "old"}).json()["client_id"],
    }


def call_v1(service: Service, route: str, things: dict[str, Any]) -> Any:
    """Calls the route on `things`."""
    method, path = route.split(" ")
    body = V1_ROUTES[route][1]
    body = body(things) if callable(body) else body
    return service.call(method, path.format(**things), **({} if body is None else {"json": body}))
