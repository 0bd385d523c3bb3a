"""POSTs with an Idempotency-Key are done once: who repeats one within a day gets the first response again.

What a request does and its response are committed together, so a process that dies leaves both or neither. A request
that fails changes nothing and leaves its key free; while one is under way, another with its key is refused.
"""

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, request

from dispatcher import failpoints
from dispatcher.api.http import container
from dispatcher.errors import ApiError, InvalidEventAttribute
from dispatcher.pipeline.emit import check_key
from dispatcher.storage.admin import idempotent_requests
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.joined import JoinedStorage

View = TypeVar("View", bound=Callable[..., Response])

PARAMETER = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Within a day a repeated request with the same key gets the first response again.",
}
"""For the documentation."""


def idempotent(view: View) -> View:
    """Decorates a view that is called with the ServiceToken first, and then the one Storage that it may use.

    What the view does besides goes through its `after_commit`.
    """

    @wraps(view)
    def once(token: ServiceToken, /, *args: Any, **kwargs: Any) -> Response:
        storage, key = container().storage, request.headers.get("Idempotency-Key")
        if key is None:
            return view(token, storage, *args, **kwargs)
        _check(key)

        def do(connection: Connection) -> tuple[Response, JoinedStorage]:
            joined = JoinedStorage(storage, connection)
            response = _earlier(joined, token, key)
            if response is None:
                response = view(token, joined, *args, **kwargs)
                kept = (_fingerprint(), _stored(response), _event_id(response))
                joined.transact(idempotent_requests.store, storage.secrets, token.id, key, *kept)
                failpoints.hit("before_response_commit")
            return response, joined

        response, joined = storage.transact(do)
        failpoints.hit("after_response_commit")
        for work in joined.afterwards:
            work()
        return response

    return cast(View, once)


def _earlier(storage: Storage, token: ServiceToken, key: str) -> Response | None:
    """What the request with this key was answered; None: there was none, and no other is done meanwhile."""
    if not storage.transact(idempotent_requests.try_lock, token.id, key):
        text = "A request with this Idempotency-Key is being processed"
        raise ApiError(409, "request_in_progress", text, {"Retry-After": "5"})
    earlier = storage.read(idempotent_requests.find, storage.secrets, token.id, key)
    if earlier is None:
        return None
    if earlier.fingerprint != _fingerprint():
        raise ApiError(422, "idempotency_key_reused", "The Idempotency-Key was used for another request")
    status, headers, text = json.loads(earlier.response)
    return Response(text, status, {**headers, "Idempotent-Replayed": "true"})


def _stored(response: Response) -> str:
    headers = {name: value for name, value in response.headers.items() if name in ("Content-Type", "Location")}
    return json.dumps([response.status_code, headers, response.get_data(as_text=True)])


def _event_id(response: Response) -> int | None:
    """Of the event in the response: it goes with that event's payload."""
    body = response.get_json(silent=True)
    return body.get("event_id") if isinstance(body, dict) else None


def _fingerprint() -> bytes:
    return hashlib.sha256(b"\n".join([request.method.encode(), request.path.encode(), request.get_data()])).digest()


def _check(key: str) -> None:
    try:
        check_key(key)
    except InvalidEventAttribute:
        text = "Idempotency-Key must have 1 to 255 printable characters"
        raise ApiError(400, "invalid_request", text) from None
