"""Requests that carry an access token of OAuth 2.0 (client credentials: RFC 6749, 4.4), over a sender of the two.

    start      with a token that is known it goes at once; without, it waits for one, which is asked for by a request of
               the same sender: with its guard, its limits and its loop, so nobody else's requests wait
    results    a token that comes lets go of what waited for it; where none comes, that is the result of these requests
    401        the token was revoked: another is requested, and the request is sent again, within its time

Tokens are kept in memory, for all senders of a process, and asked for a little before they end. For one client each
sender has one request of a token under way at most.
"""

import base64
import json
import math
import re
from dataclasses import dataclass, replace
from threading import Lock
from urllib.parse import quote_plus, urlencode

from dispatcher.clock import monotonic
from dispatcher.model.attempt import Result, Status, is_success
from dispatcher.model.credentials import OAuth2
from dispatcher.sender.contract import Limits, Request, Sender

_TOKENS_MAX = 10_000
_ANSWER_LIMIT = 65_536
"""Bytes of a response of a token endpoint."""
_LIFETIME_S = 300.0
"""Of a token whose endpoint does not say how long it is good."""
_LIFETIME_MAX_S = 86_400.0
_EARLY_S = 60.0
"""Before its end a token is not sent any more, or a tenth of its lifetime before."""
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}\Z")
_ERROR = re.compile(r"[a-z_]{1,50}\Z")
_UNAUTHORIZED = "401"


class Tokens:
    """Access tokens by client, until shortly before they end. Safe to use from many threads."""

    def __init__(self) -> None:
        self._tokens: dict[OAuth2, tuple[str, float]] = {}
        self._lock = Lock()

    def get(self, client: OAuth2) -> str | None:
        """The client's token; None: there is none that is good."""
        token, until_s = self._tokens.get(client, ("", 0.0))
        return token if monotonic() < until_s else None

    def put(self, client: OAuth2, token: str, lifetime_s: float) -> None:
        """Keeps the token; the oldest one makes room for it."""
        with self._lock:
            if client not in self._tokens and len(self._tokens) >= _TOKENS_MAX:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[client] = token, monotonic() + lifetime_s - min(_EARLY_S, lifetime_s / 10)

    def drop(self, client: OAuth2, token: str) -> None:
        """Forgets the token, unless there is a newer one."""
        with self._lock:
            if self._tokens.get(client, ("",))[0] == token:
                del self._tokens[client]


@dataclass(slots=True, eq=False)
class _Authorized:
    """A request that is sent with a token, or waits for one."""

    request: Request
    client: OAuth2
    started_s: float
    token: str = ""
    has_new_token: bool = False
    """It has a new token: where the receiver refuses that, another would not help."""


class AuthorizingSender:
    """Keeps the contract `Sender`. Requests without `oauth2` go through as they are."""

    def __init__(self, sender: Sender, limits: Limits, tokens: Tokens) -> None:
        self._sender = sender
        self._limits = limits
        self._tokens = tokens
        self._waiting: dict[OAuth2, list[_Authorized]] = {}
        self._asked: dict[int, OAuth2] = {}
        """Tag → whose token the request is for. Tags of others are not negative."""
        self._sent: dict[int, _Authorized] = {}
        self._ready: list[Result] = []
        self._last_tag = 0

    @property
    def capacity(self) -> int:
        """Requests that can be in flight at once."""
        return self._sender.capacity

    @property
    def in_flight(self) -> int:
        """Requests started whose result was not given back."""
        waiting = sum(map(len, self._waiting.values())) if self._waiting else 0
        return self._sender.in_flight - len(self._asked) + waiting + len(self._ready)

    def start(self, request: Request) -> None:
        """Begins `request`, or has it wait for its token."""
        if request.oauth2 is None:
            self._sender.start(request)
            return
        self._begin(_Authorized(request, request.oauth2, monotonic()))

    def results(self, wait_s: float) -> list[Result]:
        """What has finished; waits up to `wait_s` seconds for the first, not at all if nothing is in flight."""
        if not self._sent and not self._asked and not self._ready:
            return self._sender.results(wait_s)
        until_s = monotonic() + wait_s
        while True:
            came = self._sender.results(0.0 if self._ready else max(until_s - monotonic(), 0.0))
            for result in came:
                self._settle(result)
            if self._ready or not came:  # it was woken, or its time is over
                results, self._ready = self._ready, []
                return results

    def wake(self) -> None:
        """Ends the wait of a `results` under way, or of the next; by any thread."""
        self._sender.wake()

    def close(self) -> None:
        """Abandons what is in flight and closes all connections."""
        self._waiting.clear()
        self._asked.clear()
        self._sent.clear()
        self._ready.clear()
        self._sender.close()

    def _settle(self, result: Result) -> None:
        if (client := self._asked.pop(result.tag, None)) is not None:
            self._take_token(client, result)
            return
        one = self._sent.pop(result.tag, None)
        if one is None or one.has_new_token or result.status != _UNAUTHORIZED:
            self._ready.append(result)
            return
        self._tokens.drop(one.client, one.token)
        one.has_new_token = True
        try:
            self._begin(one)  # another one that was refused may have a new token already
        except Exception:  # no descriptor is free, for one: then the first response is the result
            self._ready.append(result)

    def _begin(self, one: _Authorized) -> None:
        token = self._tokens.get(one.client)
        if token is None:
            self._wait_for_token(one)
        else:
            self._send(one, token)

    def _wait_for_token(self, one: _Authorized) -> None:
        if one.client in self._waiting:
            self._waiting[one.client].append(one)
            return
        self._last_tag -= 1
        agent = next((value for name, value in one.request.headers if name == "User-Agent"), "")
        self._sender.start(_token_request(self._last_tag, one.client, agent, self._left_s(one)))
        self._waiting[one.client], self._asked[self._last_tag] = [one], one.client

    def _take_token(self, client: OAuth2, result: Result) -> None:
        waiting = self._waiting.pop(client)
        try:
            token, lifetime_s = _token_of(result)
        except _NoToken as error:
            self._ready += [_not_sent(one, error.status, error.reason, result) for one in waiting]
            return
        self._tokens.put(client, token, lifetime_s)
        for one in waiting:
            one.has_new_token = True
            try:
                self._send(one, token)
            except Exception as error:  # as above; the others go on
                reason = f"the request cannot be sent: {type(error).__name__}"
                self._ready.append(_not_sent(one, Status.UNKNOWN_ERROR, reason, result))

    def _left_s(self, one: _Authorized) -> float:
        """Seconds of its time, in steps, because senders keep those of one timeout together."""
        left_s = self._limits.timeout_of(one.request) - (monotonic() - one.started_s)
        return max(math.ceil(left_s * 10) / 10, 0.1)

    def _send(self, one: _Authorized, token: str) -> None:
        one.token, request = token, one.request
        headers = [*request.headers, ("Authorization", f"Bearer {token}")]
        timeout_s = self._left_s(one) if one.has_new_token else request.timeout_s
        self._sender.start(replace(request, headers=headers, timeout_s=timeout_s, oauth2=None))
        self._sent[request.tag] = one


def _not_sent(one: _Authorized, status: Status, reason: str, token: Result) -> Result:
    """Of a request that waited for a token; of what the token's endpoint said only how long it asks to be patient."""
    return Result(
        tag=one.request.tag,
        status=status,
        reason=reason,
        retry_after=token.retry_after,
        started_s=token.started_s,
        finished_s=token.finished_s,
    )


class _NoToken(Exception):
    """Why there is none, for people: it repeats nothing that is secret."""

    def __init__(self, status: Status, reason: str) -> None:
        self.status = status
        self.reason = f"token endpoint: {reason}"


def _token_request(tag: int, client: OAuth2, user_agent: str, timeout_s: float) -> Request:
    fields = [("grant_type", "client_credentials")]
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
    headers += [("User-Agent", user_agent)] if user_agent else []
    if client.scopes:
        fields.append(("scope", " ".join(client.scopes)))
    if client.auth_method == "post":
        fields += [("client_id", client.client_id), ("client_secret", client.client_secret)]
    else:
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"  # RFC 6749, 2.3.1
        headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
    body = urlencode([*fields, *client.parameters]).encode()
    return Request(
        tag=tag, url=client.token_url, headers=headers, body=body, timeout_s=timeout_s, body_limit=_ANSWER_LIMIT
    )


def _token_of(result: Result) -> tuple[str, float]:
    """The token, and for how many seconds it is good. Raises _NoToken."""
    if not result.status.isdecimal():
        raise _NoToken(Status.OAUTH2_TOKEN_FAILED, result.reason or result.status)
    answer = _json(result.body)
    if not is_success(result.status):
        code = answer.get("error")
        said = f" ({code})" if isinstance(code, str) and _ERROR.match(code) else ""
        is_refusal = result.status[0] == "4" and result.status not in _BUSY
        raise _NoToken(
            Status.OAUTH2_TOKEN_REFUSED if is_refusal else Status.OAUTH2_TOKEN_FAILED,
            f"it answered {result.status}{said}",
        )
    token, kind = answer.get("access_token"), answer.get("token_type", "bearer")
    if not isinstance(token, str) or not _TOKEN.match(token):
        raise _NoToken(Status.OAUTH2_TOKEN_FAILED, "its response has no access token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _NoToken(Status.OAUTH2_TOKEN_FAILED, "its token is of another type than bearer")
    return token, _lifetime_s(answer.get("expires_in"))


_BUSY = frozenset({"408", "425", "429"})
"""With these it says nothing about the client."""


def _json(body: bytes) -> dict[str, object]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _lifetime_s(expires_in: object) -> float:
    """Of a number, or of one in quotes, as some servers write it."""
    text = str(expires_in)
    known = isinstance(expires_in, int | str) and text.isascii() and text.isdecimal() and len(text) < 16
    return min(float(text), _LIFETIME_MAX_S) if known else _LIFETIME_S
