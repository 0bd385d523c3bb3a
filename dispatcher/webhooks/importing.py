"""Endpoints of Svix and Convoy become webhooks, with the secrets that receivers have (docs/guides/signatures.md)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dispatcher.errors import InvalidFile, InvalidWebhook
from dispatcher.model.webhook import Webhook
from dispatcher.schemas.api.signatures import CONVOY, CONVOY_SIMPLE, OWN_HEADERS, V1
from dispatcher.storage.admin import accounts, webhooks
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.joined import JoinedStorage
from dispatcher.storage.secrets import foreign_secret, foreign_text, is_private_key
from dispatcher.webhooks.edit import create_webhook

Path = tuple[str | int, ...]
"""Where in the file."""

_PREFIXES = ("svix-", "webhook-")
"""Svix sends one or the other, and which is not said of an endpoint."""


Imported = tuple[dict[str, Any], str]
"""Attributes of a new webhook, and its secret as it is stored."""


def import_from_svix(storage: Storage, slug: str, document: Any) -> list[Webhook]:
    """New webhooks of the account, all or none; those whose `uid` it has are left out.

    `document`: endpoints as Svix' API lists them, in an array or under `data`, each with its secret as `secret`.
    Raises InvalidFile and AccountNotFound.
    """
    endpoints = document.get("data") if isinstance(document, Mapping) else document
    if not isinstance(endpoints, list):
        raise InvalidFile((), "must be an array of endpoints, or an object with one in `data`")
    return _import(storage, slug, [((at,), one) for at, one in enumerate(endpoints)], _of_svix)


def import_from_convoy(storage: Storage, slug: str, document: Any) -> list[Webhook]:
    """The same of a project of Convoy: what its API answers for `endpoints`, `subscriptions` and the `project`.

    An endpoint without a subscription gets nothing, and is left out.
    """
    if not isinstance(document, Mapping):
        raise InvalidFile((), "must be an object with `endpoints`, `subscriptions` and `project`")
    header = _signature_header(_data(document, "project"))
    of_endpoint: dict[str, list[Mapping[str, Any]]] = {}
    for at, one in enumerate(_content(document, "subscriptions")):
        endpoint = _mapping(one, "subscriptions", at).get("endpoint_metadata")
        if endpoint:  # else it is one of its command
            of_endpoint.setdefault(str(_mapping(endpoint, "subscriptions", at).get("uid")), []).append(one)
            _refuse_filter(one, at)
    endpoints = [
        (("endpoints", at), one)
        for at, one in enumerate(_content(document, "endpoints"))
        if _mapping(one, "endpoints", at).get("uid") in of_endpoint
    ]

    def read(at: Path, endpoint: Mapping[str, Any]) -> Imported:
        return _of_convoy(at, endpoint, of_endpoint[str(endpoint["uid"])], header)

    return _import(storage, slug, endpoints, read)


def _import(
    storage: Storage,
    slug: str,
    endpoints: Sequence[tuple[Path, Any]],
    read: Callable[[Path, Mapping[str, Any]], Imported],
) -> list[Webhook]:
    def work(connection: Connection) -> list[Webhook]:
        account = accounts.find(connection, slug)
        known = {one.uid for one in webhooks.list_for_account(connection, storage.secrets, account.id)}
        joined, created = JoinedStorage(storage, connection), []
        for at, endpoint in endpoints:
            try:
                attributes, secret = read(at, _mapping(endpoint, *at))
            except (AttributeError, TypeError):
                raise InvalidFile(at, "has a value of another type than the API writes") from None
            if attributes["uid"] not in known:
                created.append(_create(joined, slug, at, attributes, secret))
        return created

    return storage.transact(work)


def _create(storage: Storage, slug: str, at: Path, attributes: Mapping[str, Any], secret: str) -> Webhook:
    try:
        return create_webhook(storage, slug, attributes, signing_secret=secret)
    except InvalidWebhook as invalid:
        texts = "; ".join(f"{name} {text}" for name, texts in invalid.messages.items() for text in texts)
        raise InvalidFile(at, f"cannot be imported: {texts}") from None


def _mapping(value: Any, *at: str | int) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidFile(at, "must be an object")
    return value


# -- Svix --------------------------------------------------------------------------------------------------------------


def _of_svix(at: Path, endpoint: Mapping[str, Any]) -> Imported:
    if endpoint.get("channels"):
        raise InvalidFile((*at, "channels"), "have no counterpart here; use a filter, and remove them")
    if endpoint.get("sensitive"):
        raise InvalidFile(
            (*at, "sensitive"), "are headers that Svix does not show; add them to `headers`, and remove them"
        )
    return _attributes(endpoint), _secret((*at, "secret"), foreign_secret, str(endpoint.get("secret")))


def _secret(at: Path, read: Callable[[str], str], secret: str) -> str:
    try:
        return read(secret)
    except ValueError as error:
        raise InvalidFile(at, str(error)) from None


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


# -- Convoy ------------------------------------------------------------------------------------------------------------


def _data(document: Mapping[str, Any], name: str) -> Any:
    """What stands under a name: a response of the API, or what it has as `data`."""
    part = _mapping(document.get(name), name)
    return part.get("data", part)


def _content(document: Mapping[str, Any], name: str) -> list[Any]:
    data = document.get(name) if isinstance(document.get(name), list) else _mapping(_data(document, name), name)
    content = data if isinstance(data, list) else data.get("content") if data else None
    if not isinstance(content, list):
        raise InvalidFile((name,), "must be a response of Convoy's API, or an array")
    return content


def _signature_header(project: Any) -> str | None:
    """The name of the header, where the project has another than Convoy's own."""
    signature = _mapping(_mapping(_mapping(project, "project").get("config"), "project", "config").get("signature"),
                         "project", "config", "signature")  # fmt: skip
    versions = signature.get("versions") or []
    if [(one.get("hash"), one.get("encoding")) for one in versions] != [("SHA256", "hex")]:
        at = ("project", "config", "signature", "versions")
        raise InvalidFile(at, "can be imported only where there is one, with SHA256 and hex")
    header = signature.get("header")
    return None if header == OWN_HEADERS[CONVOY] else header


def _refuse_filter(subscription: Mapping[str, Any], at: int) -> None:
    conditions = (_mapping(subscription.get("filter_config") or {}, "subscriptions", at).get("filter") or {}).items()
    if subscription.get("function") or any(value for name, value in conditions if name != "is_flattened"):
        text = "has a filter or a function, which must be rewritten for this dispatcher; remove it from the file"
        raise InvalidFile(("subscriptions", at), text)


def _of_convoy(
    at: Path, endpoint: Mapping[str, Any], subscriptions: Sequence[Mapping[str, Any]], header: str | None
) -> Imported:
    names = [name for one in subscriptions for name in (one.get("filter_config") or {}).get("event_types") or ["*"]]
    live = [one for one in endpoint.get("secrets") or () if not (one.get("expires_at") or one.get("deleted_at"))]
    duration_s = endpoint.get("rate_limit_duration") or 1
    if not isinstance(duration_s, int):  # of old releases, which write 1m0s
        raise InvalidFile((*at, "rate_limit_duration"), "must be in seconds")
    attributes = {
        "webhook_url": endpoint.get("url"),
        "events": ["*"] if "*" in names else list(dict.fromkeys(names)),
        "uid": endpoint["uid"],
        "description": ": ".join(text for text in (endpoint.get("name"), endpoint.get("description")) if text) or None,
        "rate_limit": max(1, endpoint["rate_limit"] // duration_s) if endpoint.get("rate_limit") else None,
        "active": endpoint.get("status", "active") == "active",
        "secret_headers": _api_key(at, endpoint.get("authentication") or {}),
        "signature_schemes": [V1, CONVOY if endpoint.get("advanced_signatures") else CONVOY_SIMPLE],
        "signature_header": header,
    }
    return attributes, _secret((*at, "secrets"), foreign_text, live[-1].get("value") if live else "")


def _api_key(at: Path, authentication: Mapping[str, Any]) -> dict[str, str]:
    if authentication.get("type") not in (None, "", "api_key"):
        raise InvalidFile((*at, "authentication"), "cannot be imported; remove it from the file, and set it afterwards")
    key = authentication.get("api_key") or {}
    return {key["header_name"]: key["header_value"]} if key.get("header_name") else {}
