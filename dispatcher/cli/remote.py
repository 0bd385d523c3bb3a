"""Commands on another machine's dispatcher (`backend.Backend`), by its API, with the SDK; DISPATCHER_API names it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import Any, cast
from urllib.request import urlopen

from dispatcher.errors import DeliveryNotFound, DispatcherError, RemoteApiError, ReplayNotFound, WebhookNotFound
from dispatcher.sdk import AccountClient, NotFound, SdkError, UnexpectedResponse
from dispatcher.settings import RemoteSettings

JSON = dict[str, Any]

_AGENT = "dispatcher (the command)"
_EXTRAS = "extras"
_TIMEOUT_S = 60.0
_REPLAYS = 40
"""As many as the local command lists."""


def published(url: str) -> JSON:
    """The OpenAPI document of the dispatcher there, which is for everybody; raises RemoteApiError."""
    try:
        with urlopen(f"{url.rstrip('/')}/api/v3/openapi.json", timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as given
            return dict(json.load(answer))
    except (OSError, ValueError) as error:
        raise RemoteApiError(f"{url} has no /api/v3/openapi.json: {type(error).__name__}") from error


class RemoteBackend:
    """As LocalBackend, on what a client of the API has; raises RemoteApiError, or *NotFound like the database."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._api = AccountClient(settings.api, settings.client_id, settings.client_secret, user_agent=_AGENT)

    def create_webhook(self, slug: str | None, attributes: Mapping[str, Any]) -> JSON:
        with _said():
            created = self._api.webhooks.create(self._slug(slug), cast(Any, attributes), include=_EXTRAS)
            return self._with_secret(slug, created)

    def webhooks(self, slug: str | None, tag: str | None = None) -> list[JSON]:
        with _said():
            return [_without_url(one) for one in self._api.webhooks.list(self._slug(slug), include=_EXTRAS, tag=tag)]

    def webhook(self, slug: str | None, webhook_id: int) -> JSON:
        with _said(WebhookNotFound(webhook_id)):
            webhook = self._api.webhooks.show(self._slug(slug), webhook_id, include=_EXTRAS)
            return self._with_secret(slug, webhook)

    def edit_webhook(self, slug: str | None, webhook_id: int, changes: Mapping[str, Any]) -> JSON:
        with _said(WebhookNotFound(webhook_id)):
            edited = self._api.webhooks.edit(self._slug(slug), webhook_id, cast(Any, changes), include=_EXTRAS)
            return self._with_secret(slug, edited)

    def delete_webhook(self, slug: str | None, webhook_id: int) -> None:
        with _said(WebhookNotFound(webhook_id)):
            self._api.webhooks.delete(self._slug(slug), webhook_id)

    def ping(self, slug: str | None, webhook_id: int, event_name: str | None) -> JSON:
        with _said(WebhookNotFound(webhook_id)):
            return dict(self._api.webhooks.ping(self._slug(slug), webhook_id, {"event_name": event_name}))

    def rotate_secret(self, slug: str | None, webhook_id: int, previous_valid_for_s: int) -> JSON:
        with _said(WebhookNotFound(webhook_id)):
            options: Any = {"previous_valid_for_s": previous_valid_for_s}
            return dict(self._api.webhooks.rotate_secret(self._slug(slug), webhook_id, options))

    def deliveries(self, slug: str | None, filters: Mapping[str, Any], limit: int) -> list[JSON]:
        with _said():
            return [dict(one) for one in islice(self._api.deliveries.list(self._slug(slug), **filters), limit)]

    def delivery(self, slug: str | None, id_or_key: str) -> JSON:
        with _said(DeliveryNotFound(id_or_key)):
            return dict(self._api.deliveries.show(self._slug(slug), id_or_key.strip()))

    def retry(self, slug: str | None, id_or_key: str) -> JSON:
        with _said(DeliveryNotFound(id_or_key)):
            return dict(self._api.deliveries.retry(self._slug(slug), id_or_key.strip()))

    def redeliver(self, slug: str | None, id_or_key: str) -> JSON:
        with _said(DeliveryNotFound(id_or_key)):
            return dict(self._api.deliveries.redeliver(self._slug(slug), id_or_key.strip()))

    def start_replay(self, slug: str | None, criteria: Mapping[str, Any]) -> JSON:
        with _said():
            return dict(self._api.replays.start(self._slug(slug), cast(Any, criteria)))

    def count_replay(self, slug: str | None, criteria: Mapping[str, Any]) -> int:
        return int(self.start_replay(slug, {**criteria, "dry_run": True})["matched"])

    def replays(self, slug: str | None) -> list[JSON]:
        with _said():
            return [dict(one) for one in islice(self._api.replays.list(self._slug(slug)), _REPLAYS)]

    def replay(self, slug: str | None, replay_id: int) -> JSON:
        with _said(ReplayNotFound(replay_id)):
            return dict(self._api.replays.show(self._slug(slug), replay_id))

    def stop_replay(self, slug: str | None, replay_id: int) -> JSON:
        with _said(ReplayNotFound(replay_id)):
            self._api.replays.stop(self._slug(slug), replay_id)
        return self.replay(slug, replay_id)

    def resume_replay(self, slug: str | None, replay_id: int) -> JSON:
        with _said(ReplayNotFound(replay_id)):
            return dict(self._api.replays.resume(self._slug(slug), replay_id))

    def emit(self, slug: str | None, name: str, body: Mapping[str, Any], idempotency_key: str | None) -> JSON:
        with _said():
            event: Any = {"name": name, "body": dict(body), "idempotency_key": idempotency_key}
            return dict(self._api.events.emit(self._slug(slug), event))

    def _with_secret(self, slug: str | None, webhook: Mapping[str, Any]) -> JSON:
        secret = self._api.webhooks.show_secret(self._slug(slug), webhook["id"])
        return _without_url(webhook) | {"signing_secret": secret["signing_secret"]}

    def _slug(self, slug: str | None) -> str:
        return slug or self._default_account

    @cached_property
    def _default_account(self) -> str:
        return str(self._api.accounts.current_user()["default_account"])


@contextmanager
def _said(not_found: DispatcherError | None = None) -> Iterator[None]:
    """Raises what the SDK raises in the command's words: RemoteApiError, or `not_found` for 404."""
    try:
        yield
    except NotFound as error:
        raise not_found or RemoteApiError(str(error)) from error
    except UnexpectedResponse as error:
        raise RemoteApiError(f"{error}; check DISPATCHER_API") from error
    except SdkError as error:
        raise RemoteApiError(str(error)) from error


def _without_url(webhook: Mapping[str, Any]) -> JSON:
    """The command shows no `url`: on the database there is none."""
    return {name: value for name, value in webhook.items() if name != "url"}
