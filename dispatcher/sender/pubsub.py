"""Messages for Google Pub/Sub as requests of its HTTP API; who sends them is a sender of HTTP.

A token is a JWT that the service account's key signs here (google-auth): no request is needed to get one.
"""

import base64
import json
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from google.auth import jwt

from dispatcher.model.destination import Destination
from dispatcher.sender.contract import Request
from dispatcher.sender.wire import Unsendable

_ENDPOINT = "https://pubsub.googleapis.com"
_AUDIENCE = f"{_ENDPOINT}/google.pubsub.v1.Publisher"
_NO_ATTRIBUTE = frozenset({"User-Agent"})
_KEY_MAX = 3_000
"""Characters. Google's keys have 2,048 bits and 2,400 characters; one of 8,192 bits takes 20 s to read, and the worker
does nothing else."""


def as_http(request: Request, destination: Destination) -> Request:
    """The request that publishes the message to the topic that the URL names; raises Unsendable for a useless key."""
    parts = urlsplit(request.url)
    endpoint = destination.settings.get("endpoint", _ENDPOINT).rstrip("/")
    message: dict[str, Any] = {
        "data": base64.b64encode(request.body).decode(),
        "attributes": {name: value for name, value in request.headers if name not in _NO_ATTRIBUTE and value},
    }
    if ordering_key := destination.setting("ordering_key", "{resource}"):
        message["orderingKey"] = ordering_key
    headers = [("Content-Type", "application/json")]
    if destination.credentials:
        headers.append(("Authorization", f"Bearer {_token(destination.credentials['service_account'])}"))
    return replace(
        request,
        url=f"{endpoint}/v1/projects/{parts.netloc}/topics/{quote(parts.path[1:])}:publish",
        headers=headers,
        body=json.dumps({"messages": [message]}).encode(),
        destination=None,
    )


def _token(service_account: str) -> str:
    signer = _signer(service_account)
    if signer is None:  # why is for nobody else to see
        raise Unsendable("the service account's key cannot be read, or is longer than Google's")
    if not signer.valid:
        signer.refresh(None)
    token: str | bytes = signer.token
    return token.decode() if isinstance(token, bytes) else token


@lru_cache(maxsize=1_000)
def _signer(service_account: str) -> Any:
    """None: it cannot be read."""
    if len(service_account) > _KEY_MAX:
        return None
    try:
        return jwt.Credentials.from_service_account_info(json.loads(service_account), audience=_AUDIENCE)
    except Exception:  # whatever reading it comes to
        return None
