"""POSTs with an Idempotency-Key are done once: who repeats one within a day gets the first response again.

A request that fails changes nothing and frees its key. One that was interrupted, by the death of its process, may have
been done: after a minute it is done again.
"""

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, request

from dispatcher.api.http import container
from dispatcher.errors import ApiError, InvalidEventAttribute
from dispatcher.pipeline.emit import check_key
from dispatcher.storage.admin import idempotent_requests
from dispatcher.storage.admin.idempotent_requests import EarlierRequest
from dispatcher.storage.admin.service_tokens import ServiceToken

View = TypeVar("View", bound=Callable[..., Response])

PARAMETER = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Within a day a repeated request with the same key gets the first response again.",
}
"""For the documentation."""


def idempotent(view: View) -> View:
    """Decorates a view that is called with the ServiceToken first."""

    @wraps(view)
    def once(token: ServiceToken, /, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return view(token, *args, **kwargs)
        _check(key)
        storage, fingerprint = container().storage, _fingerprint()
        earlier = storage.transact(idempotent_requests.begin, storage.secrets, token.id, key, fingerprint)
        if earlier is not None:
            return _again(earlier, fingerprint)
        try:
            response = view(token, *args, **kwargs)
        except Exception:
            storage.transact(idempotent_requests.forget, token.id, key)
            raise
        storage.transact(idempotent_requests.store, storage.secrets, token.id, key, _stored(response))
        return response

    return cast(View, once)


def _again(earlier: EarlierRequest, fingerprint: bytes) -> Response:
    if earlier.fingerprint != fingerprint:
        raise ApiError(422, "idempotency_key_reused", "The Idempotency-Key was used for another request")
    if earlier.response is None:
        text = "A request with this Idempotency-Key is being processed"
        raise ApiError(409, "request_in_progress", text, {"Retry-After": "5"})
    status, headers, text = json.loads(earlier.response)
    return Response(text, status, {**headers, "Idempotent-Replayed": "true"})


def _stored(response: Response) -> str:
    headers = {name: value for name, value in response.headers.items() if name in ("Content-Type", "Location")}
    return json.dumps([response.status_code, headers, response.get_data(as_text=True)])


def _fingerprint() -> bytes:
    return hashlib.sha256(b"\n".join([request.method.encode(), request.path.encode(), request.get_data()])).digest()


def _check(key: str) -> None:
    try:
        check_key(key)
    except InvalidEventAttribute:
        text = "Idempotency-Key must have 1 to 255 printable characters"
        raise ApiError(400, "invalid_request", text) from None
