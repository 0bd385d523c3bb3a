"""Commands on another machine's dispatcher, by its API (`backend.Backend`); DISPATCHER_API names it.

requests is used here and in the portable sender only: this is no delivery, so the sender's guard and signatures are
not wanted.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import requests
from requests.auth import AuthBase

from dispatcher.errors import DeliveryNotFound, DispatcherError, RemoteApiError, ReplayNotFound, WebhookNotFound
from dispatcher.settings import RemoteSettings

JSON = dict[str, Any]

_AGENT = "dispatcher (the command)"
_TIMEOUT_S = 60.0
"""More than the receiver of a ping may take."""
_PAGE_SIZE = 40
_EXTRAS = {"include": "extras"}


class RemoteBackend:
    """As LocalBackend, on what a client of the API has; raises RemoteApiError, or *NotFound like the database."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._root = settings.api.rstrip("/")
        self._basic = (settings.client_id, settings.client_secret)

    def create_webhook(self, slug: str | None, attributes: Mapping[str, Any]) -> JSON:
        created = self._call("POST", slug, "webhooks.json", params=_EXTRAS, json=dict(attributes))
        return self._with_secret(slug, created)

    def webhooks(self, slug: str | None) -> list[JSON]:
        found: list[JSON] = []
        for page in range(1, 1_000_000):
            more = self._call("GET", slug, "webhooks.json", params={**_EXTRAS, "page": page})
            found += [_without_url(one) for one in more]
            if len(more) < _PAGE_SIZE:
                break
        return found

    def webhook(self, slug: str | None, webhook_id: int) -> JSON:
        return self._with_secret(slug, self._on_webhook("GET", slug, webhook_id, params=_EXTRAS))

    def edit_webhook(self, slug: str | None, webhook_id: int, changes: Mapping[str, Any]) -> JSON:
        edited = self._on_webhook("PATCH", slug, webhook_id, params=_EXTRAS, json=dict(changes))
        return self._with_secret(slug, edited)

    def delete_webhook(self, slug: str | None, webhook_id: int) -> None:
        self._on_webhook("DELETE", slug, webhook_id)

    def ping(self, slug: str | None, webhook_id: int, event_name: str | None) -> JSON:
        return dict(self._on_webhook("POST", slug, webhook_id, "/ping", json={"event_name": event_name}))

    def rotate_secret(self, slug: str | None, webhook_id: int, previous_valid_for_s: int) -> JSON:
        options = {"previous_valid_for_s": previous_valid_for_s}
        return dict(self._on_webhook("POST", slug, webhook_id, "/secret/rotate", json=options))

    def deliveries(self, slug: str | None, filters: Mapping[str, Any], limit: int) -> list[JSON]:
        found: list[JSON] = []
        query = {name: value for name, value in filters.items() if value is not None}
        while len(found) < limit:
            page, links = self._answer("GET", self._path(slug, "deliveries.json"), params=query)
            found += page
            if "next" not in links:
                break
            query = dict(parse_qsl(urlsplit(links["next"]["url"]).query))
        return found[:limit]

    def delivery(self, slug: str | None, id_or_key: str) -> JSON:
        return self._on_delivery("GET", slug, id_or_key)

    def redeliver(self, slug: str | None, id_or_key: str) -> JSON:
        return self._on_delivery("POST", slug, id_or_key, "/redeliver")

    def start_replay(self, slug: str | None, criteria: Mapping[str, Any]) -> JSON:
        return dict(self._call("POST", slug, "replays.json", json=dict(criteria)))

    def count_replay(self, slug: str | None, criteria: Mapping[str, Any]) -> int:
        return int(self._call("POST", slug, "replays.json", json={**criteria, "dry_run": True})["matched"])

    def replays(self, slug: str | None) -> list[JSON]:
        return list(self._call("GET", slug, "replays.json"))

    def replay(self, slug: str | None, replay_id: int) -> JSON:
        return dict(self._on_replay("GET", slug, replay_id))

    def stop_replay(self, slug: str | None, replay_id: int) -> JSON:
        self._on_replay("DELETE", slug, replay_id)
        return self.replay(slug, replay_id)

    def resume_replay(self, slug: str | None, replay_id: int) -> JSON:
        return dict(self._on_replay("POST", slug, replay_id, "/resume"))

    def emit(self, slug: str | None, name: str, body: Mapping[str, Any], idempotency_key: str | None) -> JSON:
        event = {"name": name, "body": dict(body), "idempotency_key": idempotency_key}
        return dict(self._call("POST", slug, "events.json", json=event))

    def _with_secret(self, slug: str | None, webhook: JSON) -> JSON:
        secret = self._on_webhook("GET", slug, webhook["id"], "/secret")
        return _without_url(webhook) | {"signing_secret": secret["signing_secret"]}

    def _on_webhook(self, method: str, slug: str | None, webhook_id: int, action: str = "", **request: Any) -> Any:
        return self._call(method, slug, f"webhooks/{webhook_id}{action}.json", WebhookNotFound(webhook_id), **request)

    def _on_delivery(self, method: str, slug: str | None, id_or_key: str, action: str = "") -> JSON:
        path = f"deliveries/{quote(id_or_key.strip(), safe='')}{action}.json"
        return dict(self._call(method, slug, path, DeliveryNotFound(id_or_key)))

    def _on_replay(self, method: str, slug: str | None, replay_id: int, action: str = "") -> Any:
        return self._call(method, slug, f"replays/{replay_id}{action}.json", ReplayNotFound(replay_id))

    def _call(
        self, method: str, slug: str | None, path: str, not_found: DispatcherError | None = None, **request: Any
    ) -> Any:
        """The response's JSON; raises RemoteApiError, or `not_found` for 404."""
        return self._answer(method, self._path(slug, path), not_found, **request)[0]

    def _path(self, slug: str | None, path: str) -> str:
        return f"accounts/{quote(slug or self._default_account, safe='')}/{path}"

    @cached_property
    def _default_account(self) -> str:
        return str(self._answer("GET", "user.json")[0]["default_account"])

    @cached_property
    def _bearer(self) -> "_Bearer":
        grant = {"grant_type": "client_credentials"}
        return _Bearer(self._answer("POST", "oauth/token", auth=self._basic, json=grant)[0]["access_token"])

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers.update({"User-Agent": _AGENT, "Accept": "application/json"})
        return session

    def _answer(
        self,
        method: str,
        path: str,
        not_found: DispatcherError | None = None,
        *,
        auth: tuple[str, str] | None = None,
        **request: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """The response's JSON, and its links by their relation."""
        try:
            response = self._session.request(
                method,
                f"{self._root}/{path}",
                auth=auth or self._bearer,
                timeout=_TIMEOUT_S,
                allow_redirects=False,
                **request,
            )
            if response.status_code == 204:
                return None, {}
            body = response.json()
        except requests.JSONDecodeError as error:
            raise RemoteApiError(
                f"{self._root} responded {response.status_code} without JSON; check DISPATCHER_API"
            ) from error
        except requests.RequestException as error:
            raise RemoteApiError(f"{self._root} did not respond: {type(error).__name__}") from error
        if response.status_code == 404 and not_found is not None:
            raise not_found
        if not 200 <= response.status_code < 300:
            raise RemoteApiError(_reason(body, response.status_code))
        return body, response.links


class _Bearer(AuthBase):
    """Sends the token, and keeps requests from sending what a .netrc has for that host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _without_url(webhook: JSON) -> JSON:
    """The command shows no `url`: on the database there is none."""
    return {name: value for name, value in webhook.items() if name != "url"}


def _reason(body: Any, status: int) -> str:
    """What API v3's two error bodies say, as one line."""
    if isinstance(body, dict) and isinstance(body.get("errors"), dict):
        return "; ".join(f"{field} {', '.join(map(str, texts))}" for field, texts in body["errors"].items())
    if isinstance(body, dict) and "error_description" in body:
        return f"{body['error_description']} ({body.get('error')})"
    return f"the API responded {status}"
