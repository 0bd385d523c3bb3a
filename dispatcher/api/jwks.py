"""Public keys of webhooks, for their receivers: JSON Web Key Sets (RFC 7517, RFC 8037). No access token is required."""

import base64
import hashlib
import json
import zlib
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from dispatcher.access.rate_limit import KEY_SETS
from dispatcher.api.addresses import throttle_key
from dispatcher.api.auth import too_many
from dispatcher.api.errors import not_found
from dispatcher.api.http import address, container, json_response
from dispatcher.storage.admin import webhooks
from dispatcher.storage.secrets import PUBLIC_PREFIX

blueprint = Blueprint("jwks", __name__, description="Public keys that verify requests.")

CACHED_S = 300
"""Seconds for which anybody may keep an answer: the overlap of a rotation should be longer."""


@blueprint.route("/webhooks/<uuid:uuid>/.well-known/jwks.json")
@blueprint.response(200)
@blueprint.alt_response(404)
@blueprint.alt_response(429)
def show(uuid: UUID) -> Response:
    """The keys that verify the webhook's `v1a` signatures now, as a JSON Web Key Set: the newest first."""
    whose = zlib.crc32(throttle_key(address()).encode())
    allowance = container().access.limiter.spend(whose, KEY_SETS)
    if allowance.exceeded:
        raise too_many(allowance)
    storage = container().storage
    keys = storage.read(webhooks.public_keys, storage.secrets, uuid)
    if not keys:
        raise not_found()
    response = json_response({"keys": [_jwk(key) for key in keys]})
    response.headers["Cache-Control"] = f"public, max-age={CACHED_S}"
    return response


def _jwk(public_key: str) -> dict[str, str]:
    """A `whpk_...` key; its `kid` is its thumbprint (RFC 7638)."""
    needed = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(base64.b64decode(public_key.removeprefix(PUBLIC_PREFIX)))}
    thumbprint = hashlib.sha256(json.dumps(needed, separators=(",", ":")).encode()).digest()
    return {**needed, "alg": "EdDSA", "use": "sig", "kid": _base64url(thumbprint)}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
