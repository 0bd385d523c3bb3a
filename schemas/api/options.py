"""What the sender goes by for one webhook (`dispatcher.model.options`): one field for each option."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Range

from dispatcher.schemas.api.credentials import client_certificate, oauth2
from dispatcher.schemas.api.event_versions import EventVersions
from dispatcher.schemas.api.field_paths import FieldPaths
from dispatcher.schemas.api.headers import Headers, SecretHeaders, check_headers
from dispatcher.schemas.api.signatures import (
    STANDARD_PREFIX,
    V1,
    SignaturePrefixes,
    SignatureSchemes,
    names_of_headers,
    signature_header,
)
from dispatcher.schemas.wire.fields import WireSchema

RETRY_SCHEDULES: Mapping[str, tuple[int, ...]] = {
    "fast": (10, 30, 60, 180, 300, 600, 900),
    "exponential": (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000),
    "persistent": (60, 300, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 86_400),
    "linear": (300,) * 12,
    "gentle": (600, 3_600, 21_600, 86_400),
    "none": (),
}
"""Name → seconds before each retry: 35 min in all for the first, then 28 h, 3 days, an hour, 31 h."""

_RETRIES, _SUM_S = 20, 7 * 86_400
_CODE = re.compile(r"[2-5](\d\d|xx)\Z", re.ASCII)
_CODES = 50
_TIMEOUT_MAX_S = 600
_IS_NO_SCHEDULE = (
    f"must be one of {', '.join(RETRY_SCHEDULES)}, or an array of at most {_RETRIES} whole numbers of seconds, at most"
    " 7 days in all"
)
_ARE_NO_CODES = f'must be an array of 1 to {_CODES} codes such as "409" or "2xx"'


class RetrySchedule(fields.Field[Any]):
    """The name of a schedule, or the seconds before each retry."""

    def __init__(self, **options: Any) -> None:
        delays = {"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": _RETRIES}
        names = {"type": "string", "enum": list(RETRY_SCHEDULES)}
        super().__init__(metadata={"anyOf": [names, delays, {"type": "null"}]}, allow_none=True, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if isinstance(value, str):
            is_one = value in RETRY_SCHEDULES
        else:
            is_one = isinstance(value, list | tuple) and _are_delays(value)
        if not is_one:
            raise ValidationError(_IS_NO_SCHEDULE)
        return value if isinstance(value, str) else list(value) or "none"


class SuccessCodes(fields.List[Any]):
    """Codes and classes of codes; a number is a code, too."""

    def __init__(self, **options: Any) -> None:
        code = fields.String(metadata={"pattern": _CODE.pattern.removesuffix(r"\Z"), "examples": ["2xx", "409"]})
        messages: dict[str, Any] = {"invalid": _ARE_NO_CODES}
        super().__init__(code, allow_none=True, error_messages=messages, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        codes = [str(code) for code in value] if isinstance(value, list | tuple) else []
        if not 1 <= len(codes) <= _CODES or not all(map(_CODE.match, codes)):
            raise ValidationError(_ARE_NO_CODES)
        return list(dict.fromkeys(codes))


def _are_delays(delays: list[Any] | tuple[Any, ...]) -> bool:
    fine = all(type(delay) is int and delay >= 1 for delay in delays)
    return fine and len(delays) <= _RETRIES and sum(delays) <= _SUM_S


def _number(least: int, most: int, unit: str) -> fields.Integer:
    text = f"must be a whole number of {unit} between {least:,} and {most:,}, or null"
    messages: dict[str, Any] = {"invalid": text}
    return fields.Integer(
        allow_none=True, strict=True, validate=Range(least, most, error=text), error_messages=messages
    )


def read_number(text: str) -> int | str | None:
    """A number as people write it; what is none goes on as it is, to be refused with its reason."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) < 10 else text or None


def read_words(text: str) -> list[int | str | None] | None:
    """Words and numbers, apart by commas or blanks."""
    return [read_number(word) for word in text.replace(",", " ").split()] or None


def read_schedule(text: str) -> Any:
    """The name of a schedule, or numbers."""
    words = read_words(text)
    return words[0] if words and len(words) == 1 and isinstance(words[0], str) else words


class OptionsSchema(WireSchema):
    """`headers` are sent with each request; so are `secret_headers`, whose values are never returned.

    In a change, a secret header whose value is null keeps the one it has.

    `only_fields` and `excluded_fields` are paths such as `invoice.lines.name`: of the body only these attributes are
    sent, and never those. Of a payload of more than `payload_limit` bytes a URL is sent.

    `timeout_s` is in seconds, for one attempt; at most the dispatcher's own. `retry_schedule` is a name, or an array of
    the seconds before each retry. `success_codes` are those that mean that a delivery was received; null: 2xx.

    `event_versions` names, by event, the version of its body that is sent, where that is not 1. In a change, those that
    are not named stay; "newest" stands for the newest of all events.

    `signature_schemes` are `v1` (HMAC) and `v1a` (ed25519) of Standard Webhooks, whose three headers are sent once with
    each of `signature_prefixes`; and one of `stripe`, `github`, `convoy` and `convoy-simple`,
    whose header `signature_header` can rename.

    `oauth2` is a client whose access token is sent in the `Authorization` header. `client_certificate` is what TLS
    shows to a receiver that asks for one.
    """

    headers = Headers()
    secret_headers = SecretHeaders()
    only_fields = FieldPaths()
    excluded_fields = FieldPaths()
    timeout_s = _number(1, _TIMEOUT_MAX_S, "seconds")
    retry_schedule = RetrySchedule()
    success_codes = SuccessCodes()
    payload_limit = _number(1_024, 2**26, "bytes")
    event_versions = EventVersions()
    signature_schemes = SignatureSchemes()
    signature_prefixes = SignaturePrefixes()
    signature_header = signature_header()
    oauth2 = oauth2()
    client_certificate = client_certificate()

    @validates_schema
    def _check_headers(self, data: Mapping[str, Any], **_: Any) -> None:
        schemes, prefixes = data.get("signature_schemes", [V1]), data.get("signature_prefixes", [STANDARD_PREFIX])
        signatures = names_of_headers(schemes, prefixes, data.get("signature_header"))
        authorizations = bool(data.get("auth_header")) + bool(data.get("oauth2"))
        check_headers(data.get("headers", {}), data.get("secret_headers", {}), authorizations, signatures)
