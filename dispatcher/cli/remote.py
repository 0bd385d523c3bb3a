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


class Remote:
    """One account's dispatcher, as the client of `settings`. Raises RemoteApiError, or *NotFound like the database."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._root = settings.api.rstrip("/")
        self._basic = (settings.client_id, settings.client_secret)

    def create_webhook(self, slug: str | None, given: Mapping[str, Any]) -> JSON:
        """The new webhook, with its signing secret."""
        made = self._call("POST", self._path(slug, "webhooks.json"), params=_EXTRAS, json=dict(given))
        return self._with_secret(slug, made)

    def webhooks(self, slug: str | None) -> list[JSON]:
        """All of the account that are this client's, oldest first."""
        found: list[JSON] = []
        path = self._path(slug, "webhooks.json")
        for page in range(1, 1_000_000):
            more = self._call("GET", path, params={**_EXTRAS, "page": page})
            found += [_without_url(one) for one in more]
            if len(more) < _PAGE_SIZE:
                break
        return found

    def webhook(self, slug: str | None, webhook_id: int) -> JSON:
        """One, with its signing secret."""
        path = self._path(slug, f"webhooks/{webhook_id}.json")
        found = self._call("GET", path, WebhookNotFound(webhook_id), params=_EXTRAS)
        return self._with_secret(slug, found)

    def edit_webhook(self, slug: str | None, webhook_id: int, changes: Mapping[str, Any]) -> JSON:
        """The changed one, with its signing secret."""
        path = self._path(slug, f"webhooks/{webhook_id}.json")
        changed = self._call("PATCH", path, WebhookNotFound(webhook_id), params=_EXTRAS, json=dict(changes))
        return self._with_secret(slug, changed)

    def delete_webhook(self, slug: str | None, webhook_id: int) -> None:
        """What waits for it is cancelled."""
        self._call("DELETE", self._path(slug, f"webhooks/{webhook_id}.json"), WebhookNotFound(webhook_id))

    def ping(self, slug: str | None, webhook_id: int) -> JSON:
        """What came of a ping."""
        path = self._path(slug, f"webhooks/{webhook_id}/ping.json")
        return dict(self._call("POST", path, WebhookNotFound(webhook_id)))

    def rotate_secret(self, slug: str | None, webhook_id: int, previous_valid_for_s: int) -> JSON:
        """The new signing secret."""
        path = self._path(slug, f"webhooks/{webhook_id}/secret/rotate.json")
        given = {"previous_valid_for_s": previous_valid_for_s}
        return dict(self._call("POST", path, WebhookNotFound(webhook_id), json=given))

    def deliveries(self, slug: str | None, wanted: Mapping[str, Any], limit: int) -> list[JSON]:
        """The newest `limit` of those that are `wanted`."""
        found: list[JSON] = []
        query = {name: value for name, value in wanted.items() if value is not None}
        path = self._path(slug, "deliveries.json")
        while len(found) < limit:
            page, links = self._answer(self._session.request, "GET", path, params=query)
            found += page
            if "next" not in links:
                break
            query = dict(parse_qsl(urlsplit(links["next"]["url"]).query))
        return found[:limit]

    def delivery(self, slug: str | None, id_or_key: str) -> JSON:
        """One, with its attempts."""
        return dict(self._call("GET", self._of_delivery(slug, id_or_key, ".json"), DeliveryNotFound(id_or_key)))

    def replay(self, slug: str | None, id_or_key: str) -> JSON:
        """The same, pending again."""
        path = self._of_delivery(slug, id_or_key, "/redeliver.json")
        return dict(self._call("POST", path, DeliveryNotFound(id_or_key)))

    def start_replay(self, slug: str | None, given: Mapping[str, Any]) -> JSON:
        """A new replay of what is `given` (schemas.api.replay)."""
        return dict(self._call("POST", self._path(slug, "replays.json"), json=dict(given)))

    def count_replay(self, slug: str | None, given: Mapping[str, Any]) -> int:
        """How many deliveries it would send."""
        counted = self._call("POST", self._path(slug, "replays.json"), json={**given, "dry_run": True})
        return int(counted["matched"])

    def replays(self, slug: str | None) -> list[JSON]:
        """The newest of the account that are this client's."""
        return list(self._call("GET", self._path(slug, "replays.json")))

    def replay_job(self, slug: str | None, replay_id: int) -> JSON:
        """One replay."""
        path = self._path(slug, f"replays/{replay_id}.json")
        return dict(self._call("GET", path, ReplayNotFound(replay_id)))

    def stop_replay(self, slug: str | None, replay_id: int) -> JSON:
        """The same, stopped."""
        self._call("DELETE", self._path(slug, f"replays/{replay_id}.json"), ReplayNotFound(replay_id))
        return self.replay_job(slug, replay_id)

    def resume_replay(self, slug: str | None, replay_id: int) -> JSON:
        """The same, running again."""
        path = self._path(slug, f"replays/{replay_id}/resume.json")
        return dict(self._call("POST", path, ReplayNotFound(replay_id)))

    def emit(self, slug: str | None, name: str, body: Mapping[str, Any], idempotency_key: str | None) -> JSON:
        """The stored event."""
        given = {"name": name, "body": dict(body), "idempotency_key": idempotency_key}
        return dict(self._call("POST", self._path(slug, "events.json"), json=given))

    def _with_secret(self, slug: str | None, webhook: JSON) -> JSON:
        path = self._path(slug, f"webhooks/{webhook['id']}/secret.json")
        return _without_url(webhook) | {"signing_secret": self._call("GET", path)["signing_secret"]}

    def _of_delivery(self, slug: str | None, id_or_key: str, action: str) -> str:
        return self._path(slug, f"deliveries/{quote(id_or_key.strip(), safe='')}{action}")

    def _path(self, slug: str | None, rest: str) -> str:
        return f"accounts/{quote(slug or self._default_account, safe='')}/{rest}"

    @cached_property
    def _default_account(self) -> str:
        return str(self._call("GET", "user.json")["default_account"])

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers.update({"User-Agent": _AGENT, "Accept": "application/json"})
        given = {"grant_type": "client_credentials"}
        token, _ = self._answer(session.request, "POST", "oauth/token", auth=self._basic, json=given)
        session.auth = _Bearer(token["access_token"])
        return session

    def _call(self, method: str, path: str, unknown: DispatcherError | None = None, **given: Any) -> Any:
        """The answer's JSON; raises RemoteApiError, or `unknown` for 404."""
        return self._answer(self._session.request, method, path, unknown, **given)[0]

    def _answer(
        self, request: Any, method: str, path: str, unknown: DispatcherError | None = None, **given: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The answer's JSON, and its links by what they are."""
        try:
            answer = request(method, f"{self._root}/{path}", timeout=_TIMEOUT_S, allow_redirects=False, **given)
            if answer.status_code == 204:
                return None, {}
            found = answer.json()
        except requests.JSONDecodeError as error:
            raise RemoteApiError(
                f"{self._root} responded {answer.status_code} without JSON; check DISPATCHER_API"
            ) from error
        except requests.RequestException as error:
            raise RemoteApiError(f"{self._root} did not respond: {type(error).__name__}") from error
        if answer.status_code == 404 and unknown is not None:
            raise unknown
        if not 200 <= answer.status_code < 300:
            raise RemoteApiError(_reason(found, answer.status_code))
        return found, answer.links


class _Bearer(AuthBase):
    """Sends the token, and keeps requests from sending what a .netrc has for that host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


_EXTRAS = {"include": "extras"}


def _without_url(webhook: JSON) -> JSON:
    """The command shows no `url`: on the database there is none."""
    return {name: value for name, value in webhook.items() if name != "url"}


def _reason(found: Any, status: int) -> str:
    """What API v3's two error bodies say, as one line."""
    if isinstance(found, dict) and isinstance(found.get("errors"), dict):
        return "; ".join(f"{field} {', '.join(map(str, texts))}" for field, texts in found["errors"].items())
    if isinstance(found, dict) and "error_description" in found:
        return f"{found['error_description']} ({found.get('error')})"
    return f"the API responded {status}"
