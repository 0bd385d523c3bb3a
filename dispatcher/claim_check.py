"""The claim check of a payload that is too large for its webhook: a URL by which the receiver gets it. Pure.

The URL says of which delivery, until when, and that it is ours (HMAC-SHA256). It needs no token and opens nothing else.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from dispatcher.errors import PublicUrlMissing

PATH = "/payloads"
_DAY_S = 86_400
_VALID_DAYS = 7
"""At least; to the end of the day (UTC), so that attempts of one day have the same bytes."""


@dataclass(frozen=True, slots=True)
class ClaimChecks:
    """Makes and verifies URLs. The first of `keys` signs, each verifies."""

    public_url: str
    keys: Sequence[bytes] = field(repr=False)

    def body(self, delivery_id: int, *, about: str, size: int, sent_at: int) -> str:
        """What is sent in the place of a body, as JSON text. `about`: the JSON object that says of what, by its id.

        `size`: bytes of the whole payload; `sent_at`: seconds since 1970. Raises PublicUrlMissing.
        """
        if not self.public_url:
            raise PublicUrlMissing
        expires = (sent_at // _DAY_S + _VALID_DAYS + 1) * _DAY_S
        query = urlencode({"expires": expires, "signature": _signature(self.keys[0], delivery_id, expires)})
        claim_check = {
            "url": f"{self.public_url}{PATH}/{delivery_id}?{query}",
            "expires_at": datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "size": size,
        }
        body: dict[str, Any] = json.loads(about) | {"claim_check": claim_check}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))

    def is_valid(self, delivery_id: int, expires: int, signature: str, now_s: float) -> bool:
        """Whether this is one of our URLs, and not expired; all keys are compared, in constant time."""
        expected = [_signature(key, delivery_id, expires) for key in self.keys]
        fits = [hmac.compare_digest(one.encode(), signature.encode(errors="replace")) for one in expected]
        return any(fits) and now_s < expires


def claim_checks(public_url: str, secret_keys: Sequence[str]) -> ClaimChecks:
    """Those of a process, with keys that are derived from SECRET_KEYS for this use only."""
    keys = [
        hmac.digest(base64.urlsafe_b64decode(key), b"dispatcher: claim check", hashlib.sha256) for key in secret_keys
    ]
    return ClaimChecks(public_url.rstrip("/"), tuple(keys))


def _signature(key: bytes, delivery_id: int, expires: int) -> str:
    return hmac.digest(key, f"{delivery_id}.{expires}".encode(), hashlib.sha256).hex()
