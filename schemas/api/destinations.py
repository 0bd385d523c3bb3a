"""Where events go that is not HTTP: the URL's scheme names it, `destination` and `credentials` say the rest."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from marshmallow import ValidationError, fields

from dispatcher.schemas.errors import plain

PLACES = ("event", "id", "resource", "webhook", "date")
"""What the places of a template stand for: the event's name, the idempotency key, the resource (`invoice:93`; nothing
unless the webhook is ordered or superseding), the webhook's id, and the day on which the event was created."""
PLACE = re.compile(r"\{([^{}]*)\}")

_TEXT = re.compile(r"[\x20-\x7e]{1,512}\Z")
_SHORT_TEXT = re.compile(r"[\x20-\x7e]{1,255}\Z")
_SECRET = re.compile(r"[\t\n\r\x20-\x7e]{1,8192}\Z")
_URL = re.compile(r"https?://[^\s/?#@\\]+/?\Z")
_REGION = re.compile(r"[a-z0-9-]{1,40}\Z")
_HOSTS = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?(,[A-Za-z0-9._-]+(:[0-9]{1,5})?){0,9}\Z")
_TOPIC = re.compile(r"/[A-Za-z0-9._-]{1,249}\Z")
_PRINTABLE = re.compile(r"[\x21-\x5b\x5d-\x7e]{1,2048}\Z")  # a backslash is a slash to some parsers
_OF_HTTP = ("auth_header", "oauth2", "client_certificate")
"""Attributes that only requests have."""
_IS_NO_TEXT = "each value must have 1 to 512 printable ASCII characters"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of destination. `settings`: name → what its value must match; those in `templates` have places."""

    title: str
    path: re.Pattern[str]
    """Of the URL."""
    settings: Mapping[str, re.Pattern[str]]
    required: frozenset[str] = frozenset()
    templates: frozenset[str] = frozenset()
    credentials: frozenset[str] = frozenset({"username", "password"})
    needs_credentials: bool = True
    module: str = ""
    """What must be importable."""
    extra: str = ""
    """Of this distribution, which brings it."""
    hosts: re.Pattern[str] = field(default=re.compile(r"[^,\s]+\Z"))


_RABBITMQ = Kind(
    title="RabbitMQ",
    path=re.compile(r"(/[^/]*)?\Z"),
    settings={"exchange": _SHORT_TEXT, "routing_key": _SHORT_TEXT},
    templates=frozenset({"routing_key"}),
    module="amqp",
)
_AWS = frozenset({"access_key_id", "secret_access_key"})
_SQS = Kind(
    title="SQS",
    hosts=_REGION,
    path=re.compile(r"/[0-9]{1,20}/[A-Za-z0-9_-]{1,80}(\.fifo)?\Z"),
    settings={"endpoint": _URL, "message_group_id": _TEXT},
    templates=frozenset({"message_group_id"}),
    credentials=_AWS,
    module="botocore.auth",
    extra="aws",
)
_S3 = Kind(
    title="S3",
    hosts=re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]\Z"),
    path=re.compile(r"(/.*)?\Z"),
    settings={"endpoint": _URL, "region": _REGION},
    required=frozenset({"region"}),
    credentials=_AWS,
    module="botocore.auth",
    extra="aws",
)
_PUBSUB = Kind(
    title="Google Pub/Sub",
    hosts=re.compile(r"[a-z0-9.:-]{4,100}\Z"),
    path=re.compile(r"/[A-Za-z][A-Za-z0-9._~+%-]{2,254}\Z"),
    settings={"endpoint": _URL, "ordering_key": _TEXT},
    templates=frozenset({"ordering_key"}),
    credentials=frozenset({"service_account"}),
    needs_credentials=False,  # emulators take none
    module="google.auth",
    extra="pubsub",
)
_KAFKA = Kind(
    title="Kafka",
    hosts=_HOSTS,
    path=_TOPIC,
    settings={"key": _TEXT, "sasl_mechanism": re.compile(r"(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)\Z")},
    templates=frozenset({"key"}),
    needs_credentials=False,
    module="kafka.net",
    extra="kafka",
)
KINDS: Mapping[str, Kind] = {
    "amqp": _RABBITMQ, "amqps": _RABBITMQ, "kafka": _KAFKA, "kafkas": _KAFKA, "sqs": _SQS, "s3": _S3, "pubsub": _PUBSUB,
}  # fmt: skip
"""By scheme of the URL."""


def kind_of(url: object) -> Kind | None:
    """The kind of destination; None: HTTP, or none at all."""
    return KINDS.get(url.partition(":")[0].lower()) if isinstance(url, str) else None


def place_of(url: str, settings: Mapping[str, str] | None) -> tuple[str, str, str]:
    """Whom the credentials are shown to: scheme, hosts and, where it is set, another endpoint."""
    scheme, _, rest = url.partition("://")
    return scheme, re.split(r"[/?#]", rest, maxsplit=1)[0], (settings or {}).get("endpoint", "")


class DestinationSettings(fields.Dict):
    """An object: name → text; which names there are depends on the URL."""

    def __init__(self, pattern: re.Pattern[str] = _TEXT, problem: str = _IS_NO_TEXT, **options: Any) -> None:
        self._pattern, self._problem = pattern, problem
        messages: dict[str, Any] = {"invalid": "must be an object of names and values, or null"}
        value = fields.String(allow_none=True, error_messages={"invalid": problem})
        super().__init__(fields.String(), value, allow_none=True, error_messages=messages, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        loaded: dict[str, Any] = super()._deserialize(value, attr, data, **kwargs)
        if any(not isinstance(one, str) or not self._pattern.match(one) for one in loaded.values()):
            raise ValidationError(self._problem)
        return loaded


class Credentials(DestinationSettings):
    """The same, of which only the names are shown."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_SECRET, "each value must have 1 to 8,192 ASCII characters", **options)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **_: Any) -> dict[str, None] | None:
        return None if value is None else dict.fromkeys(value)


def check_address(url: str, kind: Kind) -> None:
    """Raises a ValidationError where the URL does not name a destination of its kind."""
    try:
        parts = urlsplit(url)
    except ValueError:  # a broken IPv6 address
        parts = urlsplit("")
    fine = kind.hosts.match(parts.netloc) and kind.path.match(parts.path) and not (parts.query or parts.fragment)
    if not fine or "@" in parts.netloc or not _has_port(parts) or not _PRINTABLE.match(url):
        raise ValidationError(f"is not the URL of {kind.title}; credentials are an attribute of their own")
    _check_template(unquote(parts.path), "webhook_url")


def check_destination(data: Mapping[str, Any]) -> None:
    """Raises a ValidationError, by field, where the attributes of a webhook do not fit its URL."""
    kind, problems = kind_of(data.get("webhook_url")), {}
    settings, credentials = data.get("destination"), data.get("credentials")
    if kind is None:
        problems = {
            name: [f"is only for URLs that begin with {', '.join(KINDS)}"]
            for name, value in (("destination", settings), ("credentials", credentials))
            if value is not None
        }
    else:
        if texts := _problems(kind, settings or {}):
            problems["destination"] = texts
        if texts := _problems_of_credentials(kind, credentials or {}):
            problems["credentials"] = texts
        problems |= {name: ["is only for HTTP; see credentials"] for name in _OF_HTTP if data.get(name)}
    if problems:
        raise ValidationError(problems)


def _problems(kind: Kind, settings: Mapping[str, str]) -> list[str]:
    texts = [f'"{plain(name)}" is not known; {_known(kind)}' for name in settings if name not in kind.settings]
    texts += [f'"{name}" is missing' for name in sorted(kind.required - settings.keys())]
    for name, value in settings.items():
        if name in kind.settings and not kind.settings[name].match(value):
            texts.append(f'"{name}" is invalid')
        if name in kind.templates:
            try:
                _check_template(value, "destination")
            except ValidationError as error:
                texts += [f'"{name}" {text}' for text in error.messages]
    return texts


def _problems_of_credentials(kind: Kind, credentials: Mapping[str, str]) -> list[str]:
    if not credentials and not kind.needs_credentials:
        return []
    if credentials.keys() != kind.credentials:
        return [f"must be {' and '.join(sorted(kind.credentials))}"]
    return []


def _known(kind: Kind) -> str:
    return f"{kind.title} has {', '.join(sorted(kind.settings))}"


def _check_template(text: str, field_name: str) -> None:
    unknown = [place for place in PLACE.findall(text) if place not in PLACES]
    if unknown or "{" in PLACE.sub("", text) or "}" in PLACE.sub("", text):
        raise ValidationError(f"may have the places {', '.join(f'{{{place}}}' for place in PLACES)}", field_name)


def _has_port(parts: SplitResult) -> bool:
    try:
        return all(0 < int(port or 1) < 65_536 for port in re.findall(r":([0-9]*)(?=,|\Z)", parts.netloc))
    except ValueError:
        return False
