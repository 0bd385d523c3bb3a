"""Every route below /api/v3 that takes a token, for the tests that hold of all of them. A new route belongs in here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dispatcher.replays import job
from tests.support.api import Api, a_delivery
from tests.support.builders import a_webhook


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A route: `path` below /api/v3, with {slug} and the names that `things_of` makes; `json` is a body it accepts.

    With `pending` its delivery is one that is not finished. `owned` says that the path names a thing of one client
    that others must not find.
    """

    method: str
    path: str
    scope: str | None = None
    json: Any = None
    paged: bool = False
    owned: bool = False
    pending: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


_HOOK = {"webhook_url": "https://example.com/hook", "events": ["invoice_paid"]}
_EVENT = {"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 1}}}
_REPLAY = {"since": "2026-01-01T00:00:00+00:00"}
_ACCOUNT = "/accounts/{slug}"
_WEBHOOK = f"{_ACCOUNT}/webhooks/{{webhook_id}}"
_DELIVERY = f"{_ACCOUNT}/deliveries/{{delivery}}"
_ONE_REPLAY = f"{_ACCOUNT}/replays/{{replay_id}}"


def _route(line: str, scope: str | None = None, json: Any = None, **more: bool) -> Route:
    method, path = line.split()
    return Route(method=method, path=path, scope=scope, json=json, **more)


ROUTES = (
    _route("GET /user.json"),
    _route(f"GET {_ACCOUNT}/account.json"),
    _route(f"GET {_ACCOUNT}/users.json", paged=True),
    _route(f"GET {_ACCOUNT}/webhooks.json", "webhooks", paged=True),
    _route(f"POST {_ACCOUNT}/webhooks.json", "webhooks", _HOOK),
    _route(f"GET {_WEBHOOK}.json", "webhooks", owned=True),
    _route(f"PATCH {_WEBHOOK}.json", "webhooks", {"active": True}, owned=True),
    _route(
        f"GET {_ACCOUNT}/webhooks/{{failed_deliveries_uuid}}/failed_deliveries.json", "webhooks", paged=True, owned=True
    ),
    _route(f"POST {_WEBHOOK}/ping.json", "webhooks", owned=True),
    _route(f"GET {_WEBHOOK}/secret.json", "webhooks", owned=True),
    _route(f"POST {_WEBHOOK}/secret/rotate.json", "webhooks", {"previous_valid_for_s": 60}, owned=True),
    _route(f"GET {_ACCOUNT}/events.json", "events:read", paged=True),
    _route(f"GET {_ACCOUNT}/events/paid.json", "events:read", paged=True),
    _route(f"POST {_ACCOUNT}/events.json", "events:write", _EVENT),
    _route("GET /event_types.json"),
    _route(f"GET {_ACCOUNT}/deliveries.json", "deliveries"),
    _route(f"GET {_DELIVERY}.json", "deliveries", owned=True),
    _route(f"POST {_DELIVERY}/redeliver.json", "deliveries", owned=True),
    _route(f"POST {_DELIVERY}/retry.json", "deliveries", owned=True, pending=True),
    _route(f"GET {_ACCOUNT}/replays.json", "deliveries", paged=True),
    _route(f"POST {_ACCOUNT}/replays.json", "deliveries", _REPLAY),
    _route(f"GET {_ONE_REPLAY}.json", "deliveries", owned=True),
    _route(f"POST {_ONE_REPLAY}/resume.json", "deliveries", owned=True),
    _route(f"DELETE {_ONE_REPLAY}.json", "deliveries", owned=True),
    _route(f"DELETE {_WEBHOOK}.json", "webhooks", owned=True),
)
"""In an order in which all succeed on the same things."""


def things_of(api: Api) -> dict[str, Any]:
    """New things of the client, by the names in the paths. Nobody listens where the webhook's URL points."""
    webhook = a_webhook(api.container.storage, api.account, client_id=api.client.id)
    whose = {"client_id": api.client.id, "redelivery_limit": 1}
    replay = job.start(api.container.storage, api.container.schedule, api.account, _REPLAY, **whose)
    return {
        "slug": api.account.slug,
        "webhook_id": webhook.id,
        "failed_deliveries_uuid": webhook.failed_deliveries_uuid,
        "delivery": a_delivery(api, webhook.id),
        "pending": a_delivery(api, webhook.id, "pending"),
        "replay_id": replay.id,
    }


def call(api: Api, route: Route, things: Mapping[str, Any], **given: Any) -> Any:
    """Calls the route on `things`, as `api`; `given` are requests' own, and take the place of the route's."""
    sent = {"json": route.json} if route.json is not None and "data" not in given else {}
    delivery = {"delivery": things["pending"]} if route.pending else {}
    path = route.path.format(**{**things, **delivery}).lstrip("/")
    return api.call(route.method, path, **(sent | given))
