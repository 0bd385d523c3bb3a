"""Endpoints of Svix, with the secrets that their receivers have, become webhooks (docs/guides/signatures.md)."""

from collections.abc import Mapping
from typing import Any

from dispatcher.errors import InvalidFile, InvalidWebhook
from dispatcher.model.webhook import Webhook
from dispatcher.storage.admin import accounts, webhooks
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.joined import JoinedStorage
from dispatcher.storage.secrets import foreign_secret, is_private_key
from dispatcher.webhooks.edit import create_webhook

_PREFIXES = ("svix-", "webhook-")
"""Svix sends one or the other, and which is not said of an endpoint."""


def import_from_svix(storage: Storage, slug: str, document: Any) -> list[Webhook]:
    """New webhooks of the account, all or none; those whose `uid` it has are left out.

    `document`: endpoints as Svix' API lists them, in an array or under `data`, each with its secret as `secret`.
    Raises InvalidFile and AccountNotFound.
    """
    endpoints = document.get("data") if isinstance(document, Mapping) else document
    if not isinstance(endpoints, list):
        raise InvalidFile((), "must be an array of endpoints, or an object with one in `data`")

    def work(connection: Connection) -> list[Webhook]:
        account = accounts.find(connection, slug)
        known = {one.uid for one in webhooks.list_for_account(connection, storage.secrets, account.id)}
        made = [_create(JoinedStorage(storage, connection), slug, at, one, known) for at, one in enumerate(endpoints)]
        return [one for one in made if one]

    return storage.transact(work)


def _create(storage: Storage, slug: str, at: int, endpoint: Any, known: set[str | None]) -> Webhook | None:
    if not isinstance(endpoint, Mapping):
        raise InvalidFile((at,), "must be an object")
    if endpoint.get("channels"):
        raise InvalidFile((at, "channels"), "have no counterpart here; use a filter, and remove them")
    attributes = _attributes(endpoint)
    if attributes["uid"] in known:
        return None
    try:
        secret = foreign_secret(str(endpoint.get("secret")))
    except ValueError as error:
        raise InvalidFile((at, "secret"), str(error)) from None
    try:
        return create_webhook(storage, slug, attributes, signing_secret=secret)
    except InvalidWebhook as invalid:
        texts = "; ".join(f"{name} {text}" for name, texts in invalid.messages.items() for text in texts)
        raise InvalidFile((at,), f"cannot be imported: {texts}") from None


def _attributes(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "webhook_url": endpoint.get("url"),
        "events": endpoint.get("filterTypes") or ["*"],
        "uid": endpoint.get("uid") or endpoint.get("id"),
        "description": endpoint.get("description") or None,
        "metadata": endpoint.get("metadata") or {},
        "rate_limit": endpoint.get("rateLimit"),
        "active": not endpoint.get("disabled"),
        "secret_headers": endpoint.get("headers") or {},  # most often tokens, which neither rows nor the audit log hold
        "signature_prefixes": list(_PREFIXES),
        "signature_schemes": ["v1a" if is_private_key(endpoint.get("secret")) else "v1"],
    }
