"""What every route needs: this process's container, the request's JSON, and a response in JSON."""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn, cast
from urllib.parse import urlsplit

from flask import Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.routing import IntegerConverter, Map

from dispatcher.api.addresses import client_address
from dispatcher.container import Container
from dispatcher.errors import ApiError
from dispatcher.model.event import BODY_LIMIT

JSON = Any
"""Parsed JSON, or what becomes JSON."""
ROW_ID = "row_id"
"""The converter of an id in a path."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FORM_TOKEN = re.compile(r"[0-9a-f]{64}\Z")


class Answer(NamedTuple):
    """A response as it is sent."""

    status: int
    headers: list[tuple[str, str]]
    text: bytes


class RowId(IntegerConverter):
    """An id in a path. One beyond the column's range becomes 0, which no row has, and so is not found.

    werkzeug's own `int(max=...)` answers 405 instead, where the path has several methods.
    """

    regex = "[0-9]{1,100}"

    def __init__(self, map: Map) -> None:  # noqa: A002 - the base class's name
        super().__init__(map, max=2**31 - 1)

    def to_python(self, value: str) -> int:
        """The id."""
        number = int(value)
        return number if number < 2**31 else 0


def too_large(limit: int) -> ApiError:
    """413, for a body of more than `limit` bytes."""
    written = f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit // 2**10} KiB"
    return ApiError(413, "payload_too_large", f"The body is larger than {written}")


def container() -> Container:
    """This process's container."""
    return cast(Container, current_app.extensions["dispatcher"])


def address() -> str:
    """The client's address."""
    return client_address(request.environ, container().settings.trusted_proxies)


def public_url() -> str:
    """The URL of this API: DISPATCHER_PUBLIC_URL, else the request's Host where it is allowed (DISPATCHER_HOSTS).

    Programs follow the links in a response, and the Host is only what the client wrote.
    """
    settings = container().settings
    if settings.public_url:
        return settings.public_url.rstrip("/")
    name = urlsplit(request.host_url).hostname or ""
    if name.lower() in (*LOOPBACK, *settings.hosts):
        return request.host_url.rstrip("/")
    server, port = request.server or ("localhost", None)
    return f"{request.scheme}://{f'[{server}]' if ':' in server else server}:{port}"


def json_body() -> JSON:
    """The request's body, parsed; raises ApiError: 415 for another type than JSON, 400 for what is no JSON."""
    check_content_type(request.headers.get("Content-Type", ""))
    data = request.get_data()
    if request.content_length is None and len(data) >= BODY_LIMIT:  # sent in chunks: werkzeug cuts it there
        raise RequestEntityTooLarge
    return parse_json(data)


def check_content_type(header: str) -> None:
    """Raises ApiError (415) for another type than JSON; `header` is "" where the client names none."""
    if not _is_json(header):
        raise ApiError(415, "unsupported_media_type", "The body must be JSON, with Content-Type application/json")


@lru_cache(100)
def _is_json(content_type: str) -> bool:
    kind = parse_options_header(content_type)[0].lower()
    return kind in ("", "application/json") or (kind.startswith("application/") and kind.endswith("+json"))


def parse_json(data: bytes) -> JSON:
    """`data` as JSON; raises ApiError."""
    try:
        return json.loads(data.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise ApiError(400, "invalid_request", "The body is not valid JSON") from None


def json_object() -> dict[str, JSON]:
    """As `json_body`, for routes that take one object."""
    body = json_body()
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_request", "The body must be a JSON object")
    return body


def json_response(value: JSON, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(json_text(value), status=status, headers=dict(headers or {}), mimetype="application/json")


def json_text(value: JSON) -> bytes:
    """`value` as JSON, as every response here writes it."""
    # A lone surrogate, which only the request can have brought (the name of an unknown attribute), has no bytes.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def json_answer(status: int, value: JSON, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON response for what answers without Flask."""
    text = json_text(value)
    return Answer(
        status,
        [("Content-Type", "application/json"), ("Content-Length", str(len(text))), *(headers or {}).items()],
        text,
    )


def response(answer: Answer) -> Response:
    """The same as Flask's."""
    return Response(answer.text, answer.status, answer.headers)


def no_content() -> Response:
    """204, without a body and so without a Content-Type."""
    empty = Response(status=204)
    del empty.headers["Content-Type"]
    return empty


def form_token(cookie: str) -> str:
    """The token of a form whose sender has no session: the cookie's, which no other site can read or set, or a new one.

    A form that carries the cookie's token comes from a page with that cookie.
    """
    token = request.cookies.get(cookie, "")
    return token if _FORM_TOKEN.match(token) else secrets.token_hex(32)


def with_safe_headers(
    response: Response, policy: str, *, referrer: str, frame_ancestors: Sequence[str] = ()
) -> Response:
    """A page that only `frame_ancestors` frame and no cache keeps; its Content-Security-Policy begins with `policy`."""
    frames = " ".join(frame_ancestors) or "'none'"
    response.headers["Content-Security-Policy"] = f"{policy}; base-uri 'none'; frame-ancestors {frames}"
    if not frame_ancestors:
        response.headers["X-Frame-Options"] = "DENY"  # which knows no list
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = referrer
    response.headers["Cache-Control"] = "no-store"
    return response


def request_body(schema: Any, *, required: bool = True, kinds: Sequence[str] = ("application/json",)) -> JSON:
    """A request's body, for the documentation."""
    return {"content": {kind: {"schema": schema} for kind in kinds}, "required": required}


def _no_constant(_: str) -> NoReturn:
    """Refuses NaN and Infinity, which Python's parser accepts."""
    raise ValueError
