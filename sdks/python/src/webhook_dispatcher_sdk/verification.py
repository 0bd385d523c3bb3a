"""Verifies what the dispatcher sends: signatures of Standard Webhooks (https://www.standardwebhooks.com).

VerificationFailed
├── MissingHeader        one of the three headers is not there
├── InvalidHeader        one of them is not what it should be
├── TimestampTooOld      sent too long ago: replayed by somebody, or delayed on its way
├── TimestampTooNew      sent in the future: one of the two clocks is wrong
└── SignatureMismatch    no signature is of one of the secrets

A secret is `whsec_...`, for HMAC, or a public key, `whpk_...`, for ed25519, which needs the package cryptography.
"""

import binascii
import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_PREFIX, _PUBLIC_PREFIX = "whsec_", "whpk_"


class VerificationFailed(Exception):
    """The request is not to be trusted. Respond with 400."""


class MissingHeader(VerificationFailed):
    """A header of Standard Webhooks is not there."""


class InvalidHeader(VerificationFailed):
    """A header of Standard Webhooks is not what it should be."""


class TimestampTooOld(VerificationFailed):
    """The request was sent too long ago."""


class TimestampTooNew(VerificationFailed):
    """The request was sent in the future."""


class SignatureMismatch(VerificationFailed):
    """No signature is of one of the secrets: another secret, or another body than the one that was sent."""


def verify(
    payload: bytes | str,
    headers: Mapping[str, str],
    secrets: str | Iterable[str],
    *,
    tolerance_s: float = 300.0,
    now_s: float | None = None,
) -> Any:
    """The payload as JSON, if it was signed with one of `secrets`; raises VerificationFailed.

    `payload` is the body as it came, unparsed. A secret is `whsec_...`, or a public key, `whpk_...`. During a rotation
    give both secrets, or the one that you have: requests are then signed with each. `now_s` is in seconds since 1970
    (default: the clock). Raises ValueError for a secret that is none.
    """
    body = payload.encode() if isinstance(payload, str) else payload
    given = {name.lower(): value for name, value in headers.items()}
    id_, timestamp, signatures = (_header(given, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    _check_time(timestamp, tolerance_s, time.time() if now_s is None else now_s)
    signed = f"{id_}.{timestamp}.".encode() + body
    keys = [secrets] if isinstance(secrets, str) else list(secrets)
    checks = [(_SCHEMES[version], text) for version, _, text in _split(signatures) if version in _SCHEMES]
    # Each with each, whatever fits: the time that it takes tells nothing.
    if not any([check(key, signed, text) for check, text in checks for key in keys]):  # noqa: C419
        raise SignatureMismatch("no signature fits")
    return json.loads(body)


def _header(headers: Mapping[str, str], name: str) -> str:
    if not headers.get(name):
        raise MissingHeader(f"{name} is missing")
    return headers[name]


def _check_time(timestamp: str, tolerance_s: float, now_s: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20):
        raise InvalidHeader("webhook-timestamp is not a number of seconds")
    if int(timestamp) < now_s - tolerance_s:
        raise TimestampTooOld(f"sent more than {tolerance_s:g} s ago")
    if int(timestamp) > now_s + tolerance_s:
        raise TimestampTooNew(f"sent more than {tolerance_s:g} s in the future")


def _split(signatures: str) -> list[tuple[str, str, str]]:
    """`v1,aaa v1,bbb` → its parts, each split at the comma."""
    return [one.partition(",") for one in signatures.split()]


def _is_hmac(secret: str, signed: bytes, signature: str) -> bool:
    if secret.startswith(_PUBLIC_PREFIX):  # which everybody could sign with
        return False
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:  # an empty one, as of a variable that is not set, is everybody's
        raise ValueError(f"a signing secret is {_PREFIX} and Base64") from None
    expected = b64encode(hmac.digest(key, signed, hashlib.sha256))
    return hmac.compare_digest(expected, signature.encode())


def _is_ed25519(public_key: str, signed: bytes, signature: str) -> bool:
    if not public_key.startswith(_PUBLIC_PREFIX):
        return False
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 -- only this scheme needs the package
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        key = Ed25519PublicKey.from_public_bytes(b64decode(public_key.removeprefix(_PUBLIC_PREFIX), validate=True))
    except ValueError:
        raise ValueError(f"a public key is {_PUBLIC_PREFIX} and 32 bytes in Base64") from None
    try:
        key.verify(b64decode(signature, validate=True), signed)
    except (ValueError, InvalidSignature):
        return False
    return True


_SCHEMES: Mapping[str, Callable[[str, bytes, str], bool]] = {"v1": _is_hmac, "v1a": _is_ed25519}
"""Version of a signature → whether (secret, signed bytes, signature) fit."""
