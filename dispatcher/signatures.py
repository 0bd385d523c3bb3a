"""Signatures of requests: Standard Webhooks' `v1` and `v1a`, and what receivers of Stripe, GitHub and Convoy know."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from dispatcher.model.options import Options
from dispatcher.model.webhook import SigningKeys
from dispatcher.schemas.api.signatures import CONVOY, CONVOY_SIMPLE, GITHUB, OWN_HEADERS, STRIPE, V1, V1A


def signature_headers(
    keys: Sequence[SigningKeys], options: Options, message_id: str, timestamp: str, body: bytes
) -> list[tuple[str, str]]:
    """The headers of each scheme that the options have; `timestamp` in seconds since 1970."""
    schemes, fields = options.signature_schemes, []
    if V1 in schemes or V1A in schemes:
        signed = _signed(message_id, timestamp, body)
        signatures = [_v1(key.hmac, signed) for key in keys] if V1 in schemes else []
        if V1A in schemes:  # the secret before may have had no pair
            signatures += [f"v1a,{base64.b64encode(key.ed25519(signed)).decode()}" for key in keys if key.ed25519]
        signature = " ".join(signatures)
        for prefix in options.signature_prefixes:
            fields += [
                (prefix + "id", message_id),
                (prefix + "timestamp", timestamp),
                (prefix + "signature", signature),
            ]
    if STRIPE in schemes:
        parts = (f",v1={_hex(key, timestamp.encode() + b'.' + body)}" for key in keys)
        fields.append((options.signature_header or OWN_HEADERS[STRIPE], f"t={timestamp}{''.join(parts)}"))
    if GITHUB in schemes:  # one signature fits in: during a rotation that of the secret before, for as long as it signs
        fields.append((options.signature_header or OWN_HEADERS[GITHUB], f"sha256={_hex(keys[-1], body)}"))
    if CONVOY in schemes:
        parts = (f",v1={_hex(key, timestamp.encode() + b',' + body)}" for key in keys)
        fields.append((options.signature_header or OWN_HEADERS[CONVOY], f"t={timestamp}{''.join(parts)}"))
    if CONVOY_SIMPLE in schemes:  # one, as with GitHub's
        fields.append((options.signature_header or OWN_HEADERS[CONVOY_SIMPLE], _hex(keys[-1], body)))
    return fields


def sign(keys: Sequence[bytes], message_id: str, timestamp: str, body: bytes) -> str:
    """`v1,<base64>` for each key, apart by spaces: HMAC-SHA256 of `id.timestamp.body` (Standard Webhooks)."""
    signed = _signed(message_id, timestamp, body)
    return " ".join(_v1(key, signed) for key in keys)


def is_signed(keys: Sequence[bytes], message_id: str, timestamp: str, signature: str, body: bytes) -> bool:
    """Whether one of `signature`'s parts was made with one of `keys`, at whatever time; for local receivers."""
    expected = [sign([key], message_id, timestamp, body) for key in keys]
    return any(hmac.compare_digest(part.encode(), one.encode()) for part in signature.split(" ") for one in expected)


def _signed(message_id: str, timestamp: str, body: bytes) -> bytes:
    return b"%b.%b.%b" % (message_id.encode(), timestamp.encode(), body)


def _v1(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _hex(key: SigningKeys, signed: bytes) -> str:
    """With the secret's text, not what it stands for, as these companies' libraries do."""
    return hmac.digest((key.text or key.secret).encode(), signed, hashlib.sha256).hex()
