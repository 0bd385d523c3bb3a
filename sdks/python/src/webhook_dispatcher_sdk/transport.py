"""One API: its address, who calls, what is retried, and how lists are read to their end."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol
from urllib.parse import parse_qsl, quote, urlsplit
from uuid import uuid4

import requests

from .errors import NoResponse, UnexpectedResponse, api_error

PAGE_SIZE = 40
"""Records of a page of API v3; a shorter one is the last."""
LONGEST_WAIT_S = 60.0
"""A `Retry-After` beyond this is not waited for: the error is raised."""
_BACKOFF_S = 0.1

Query = Mapping[str, object]


class Authorizer(Protocol):
    """What `requests` takes as `auth`: it gives a request its Authorization, so that no .netrc does."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The same request."""
        ...

    def renew(self) -> bool:
        """After a 401: whether the same request will get a new token."""
        ...


class Transport:
    """Calls of one API. `authorizer` is set before the first."""

    authorizer: Authorizer

    def __init__(self, api: str, *, user_agent: str, timeout_s: float, retries: int) -> None:
        self.api = api.rstrip("/")
        self._timeout_s, self._retries = timeout_s, retries
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        idempotency_key: str | None = None,
        is_repeatable: bool = False,
    ) -> Any:
        """The response's JSON, None where it has none; raises SdkError.

        `is_repeatable` is of a POST whose body has idempotency keys; with one of its own any is.
        """
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        is_repeatable |= method != "POST" or idempotency_key is not None
        return self.json(self._send(_Request(method, path, query or {}, body, headers, is_repeatable)))

    def items(self, path: str, query: Query, by: Literal["cursor", "link", "page"]) -> Iterator[Any]:
        """The records of all pages, each asked for when it is reached; `by` is how the API names the next one."""
        more: dict[str, object] | None = dict(query)
        while more is not None:
            response = self._send(_Request("GET", path, asked := more))
            body, more = self.json(response), None
            yield from body["data"] if by == "cursor" else body
            if by == "cursor" and body["next"]:
                more = {**asked, "cursor": body["next"]}
            elif by == "link" and "next" in response.links:
                more = dict(parse_qsl(urlsplit(response.links["next"]["url"]).query))
            elif by == "page" and len(body) == PAGE_SIZE:
                more = {**asked, "page": int(str(asked.get("page", 1))) + 1}

    def json(self, response: requests.Response) -> Any:
        """A response's JSON; raises SdkError."""
        if response.status_code == 204:
            return None
        try:
            body = response.json()
        except requests.JSONDecodeError as error:
            raise UnexpectedResponse(self.api, response.status_code) from error
        if not 200 <= response.status_code < 300:
            raise api_error(response.status_code, body)
        return body

    def post(self, path: str, **given: Any) -> requests.Response:
        """A POST that gets a token, and so has none; for an authorizer."""
        return self._session.post(f"{self.api}{path}", timeout=self._timeout_s, allow_redirects=False, **given)

    def _send(self, request: "_Request") -> requests.Response:
        """The last response.

        What was answered 429 was not carried out, and is retried. What was answered 503, or not at all, may have
        been, and is retried only where that does no harm. So is 409 with a `Retry-After`: an earlier attempt, whose
        response was lost, is still being processed.
        """
        for attempt in range(self._retries + 1):
            is_last, wait_s = attempt == self._retries, _BACKOFF_S * 2**attempt
            try:
                response = self._once(request)
            except requests.RequestException as error:
                if is_last or not request.is_repeatable:
                    raise NoResponse(self.api, error) from error
            else:
                wait_s = _retry_after_s(response, wait_s)
                is_busy = response.status_code == 503 or (
                    response.status_code == 409 and "Retry-After" in response.headers
                )
                is_temporary = response.status_code == 429 or (is_busy and request.is_repeatable)
                if is_last or not is_temporary or wait_s > LONGEST_WAIT_S:
                    return response
            time.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, request: "_Request") -> requests.Response:
        """Sent once; twice where a token has expired."""

        def send() -> requests.Response:
            return self._session.request(
                request.method,
                f"{self.api}{request.path}",
                params={name: _written(value) for name, value in request.query.items() if value is not None},
                json=request.body,
                headers=request.headers,
                auth=self.authorizer,
                timeout=self._timeout_s,
                allow_redirects=False,
            )

        response = send()
        return send() if response.status_code == 401 and self.authorizer.renew() else response


class _Request(NamedTuple):
    """A call."""

    method: str
    path: str
    query: Query = MappingProxyType({})
    body: object = None
    headers: Mapping[str, str] = MappingProxyType({})
    is_repeatable: bool = True


class Resource:
    """Operations on one kind of record; the generated ones derive from it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport


def segment(value: object) -> str:
    """A part of a path; raises ValueError for what would be another path."""
    text = str(value)
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} is no id")
    return quote(text, safe="")


def new_key() -> str:
    """An idempotency key."""
    return str(uuid4())


def with_key(event: Any) -> dict[str, Any]:
    """The event with an idempotency key, so that its emit can be retried."""
    return {**event, "idempotency_key": event.get("idempotency_key") or new_key()}


def _written(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _retry_after_s(response: requests.Response, otherwise: float) -> float:
    """What `Retry-After` says; dates, which the dispatcher does not send, are not read."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else otherwise
