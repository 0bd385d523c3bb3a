"""How a webhook's requests are signed, as its owner may choose it (docs/guides/signatures.md)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, fields

from dispatcher.schemas.api.headers import is_free_name

V1, V1A, STRIPE, GITHUB = "v1", "v1a", "stripe", "github"
CONVOY, CONVOY_SIMPLE = "convoy", "convoy-simple"
SCHEMES = (V1, V1A, STRIPE, GITHUB, CONVOY, CONVOY_SIMPLE)
OWN_HEADERS: Mapping[str, str] = {
    STRIPE: "Stripe-Signature",
    GITHUB: "X-Hub-Signature-256",
    CONVOY: "X-Convoy-Signature",
    CONVOY_SIMPLE: "X-Convoy-Signature",
}
"""Scheme → the header of its signature, unless a webhook has another."""
STANDARD_PREFIX = "webhook-"

_PREFIXES = 3
_ARE_NO_SCHEMES = f"must be an array of {', '.join(SCHEMES)}, with one of {', '.join(OWN_HEADERS)} at most"
_ARE_NO_PREFIXES = f"must be an array of at most {_PREFIXES} beginnings of header names, such as webhook- or svix-"
_IS_NO_HEADER = "must be the name of a header that is not reserved, or null"


class SignatureSchemes(fields.List[Any]):
    """Names of schemes; none: `v1`."""

    def __init__(self, **options: Any) -> None:
        messages: dict[str, Any] = {"invalid": _ARE_NO_SCHEMES, "null": _ARE_NO_SCHEMES}
        super().__init__(fields.String(metadata={"enum": list(SCHEMES)}), error_messages=messages, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, list | tuple) or any(one not in SCHEMES for one in value):
            raise ValidationError(_ARE_NO_SCHEMES)
        if len(OWN_HEADERS.keys() & set(value)) > 1:
            raise ValidationError(_ARE_NO_SCHEMES)
        return [one for one in SCHEMES if one in value] or [V1]


class SignaturePrefixes(fields.List[Any]):
    """Beginnings of the names of three headers; none: `webhook-`."""

    def __init__(self, **options: Any) -> None:
        messages: dict[str, Any] = {"invalid": _ARE_NO_PREFIXES, "null": _ARE_NO_PREFIXES}
        super().__init__(fields.String(metadata={"examples": ["svix-"]}), error_messages=messages, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, list | tuple) or not all(map(_is_prefix, value)):
            raise ValidationError(_ARE_NO_PREFIXES)
        prefixes = {one.lower(): one for one in value}
        if len(prefixes) > _PREFIXES:
            raise ValidationError(_ARE_NO_PREFIXES)
        return list(prefixes.values()) or [STANDARD_PREFIX]


def signature_header() -> fields.String:
    """The name of a header."""
    messages: dict[str, Any] = {"invalid": _IS_NO_HEADER}
    return fields.String(allow_none=True, validate=_check_name, error_messages=messages)


def names_of_headers(schemes: Sequence[str], prefixes: Sequence[str], header: str | None) -> Iterator[str]:
    """Of the signatures that these options ask for."""
    if V1 in schemes or V1A in schemes:
        yield from (name for prefix in prefixes for name in _names(prefix))
    yield from (header or default for scheme, default in OWN_HEADERS.items() if scheme in schemes)


def _names(prefix: str) -> list[str]:
    return [f"{prefix}{name}" for name in ("id", "timestamp", "signature")]


def _is_prefix(value: object) -> bool:
    if not isinstance(value, str) or not value.endswith("-") or len(value) > 50:
        return False
    return value.lower() == STANDARD_PREFIX or all(map(is_free_name, _names(value)))


def _check_name(name: str) -> None:
    if not is_free_name(name) or name.lower() == "authorization":
        raise ValidationError(_IS_NO_HEADER)
