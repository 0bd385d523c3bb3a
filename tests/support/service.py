"""A company's own program, which calls /api/v1 with a service token."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import requests

from dispatcher.access import service_tokens
from dispatcher.container import Container
from dispatcher.storage.admin.service_tokens import SCOPES, ServiceToken
from tests.support.api import Calls, Server


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
        token, text = service_tokens.create(container.storage, "a test", scopes or SCOPES, lifetime)
        return cls(server=server, container=container, token=token, text=text)

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **given: Any) -> Any:
        """`path` is below /api/v1; `given` are requests' own."""
        sent = {"Authorization": f"Bearer {self.text}"} | (headers or {})
        return requests.request(method, f"{self.server.url}/api/v1{path}", headers=sent, timeout=30, **given)


V1_ROUTES: dict[str, tuple[str, Any]] = {
    "GET /accounts": ("accounts", None),
    "GET {account}": ("accounts", None),
    "PUT {account}": ("accounts", {}),
    "PATCH {account}": ("accounts", {"retention_days": 7}),
    "GET {account}/users": ("users", None),
    "POST {account}/users": ("users", {"email": "new@example.com"}),
    "DELETE {account}/users/{user}": ("users", None),
    "GET {account}/clients": ("clients", None),
    "POST {account}/clients": ("clients", {"name": "shop"}),
    "DELETE {account}/clients/{client}": ("clients", None),
    "GET {account}/webhooks": ("webhooks", None),
    "POST {account}/webhooks": ("webhooks", {"webhook_url": "https://example.com/x", "events": ["invoice_paid"]}),
    "GET {account}/webhooks/{webhook}": ("webhooks", None),
    "PATCH {account}/webhooks/{webhook}": ("webhooks", {"active": True}),
    "POST {account}/webhooks/{webhook}/ping": ("webhooks", None),
    "GET {account}/webhooks/{webhook}/secret": ("webhooks", None),
    "POST {account}/webhooks/{webhook}/secret/rotate": ("webhooks", {"previous_valid_for_s": 60}),
    "DELETE {account}/webhooks/{webhook}": ("webhooks", None),
    "POST {account}/filter_preview": ("webhooks", {"filter": {"invoice": {"id": [1]}}, "events": ["invoice_paid"]}),
    "POST {account}/events": (
        "events:write",
        {"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 1}}},
    ),
    "DELETE {account}": ("accounts", None),
}
"""Every route below /api/v1 → the scope it needs, and a body it accepts; in an order in which all succeed."""


def things_of_v1(service: Service, account: str) -> dict[str, Any]:
    """New things of the account (its path), by the names in the routes."""
    webhook = {"webhook_url": "http://127.0.0.1:9/hook", "events": ["invoice_paid"]}
    email = f"{uuid4().hex}@example.com"
    return {
        "account": account,
        "webhook": service.post(f"{account}/webhooks", json=webhook).json()["id"],
        "user": service.post(f"{account}/users", json={"email": email}).json()["id"],
        "client": service.post(f"{account}/clients", json={"name": "old"}).json()["client_id"],
    }


def call_v1(service: Service, route: str, things: dict[str, Any]) -> Any:
    """Calls the route on `things`."""
    method, path = route.split(" ")
    body = V1_ROUTES[route][1]
    return service.call(method, path.format(**things), **({} if body is None else {"json": body}))
