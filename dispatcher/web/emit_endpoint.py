"""POST /accounts/{slug}/events.json, and /api/v1/accounts/{id}/events: emits one event or up to 1,000, all or none.

It is answered here, on the event loop, from its headers to its errors: a thread for each request would cost more than
all else about them. Requests that come together share a commit. `auth.py` says in which order they are checked.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

from marshmallow import ValidationError

from dispatcher.access.authenticate import Admission
from dispatcher.access.rate_limit import ACCOUNT_EMITS, DEFAULT, EMITS, Allowance
from dispatcher.api.auth import (
    PREFIX,
    access_token,
    authorize,
    check_headers,
    quota_headers,
    rate_limit_headers,
    too_many,
)
from dispatcher.api.errors import error_answer, method_not_allowed, not_found
from dispatcher.api.http import Answer, check_content_type, json_answer, too_large
from dispatcher.api.v1.auth import authorize_service, check_path
from dispatcher.api.v1.problems import PREFIX as V1
from dispatcher.api.v1.problems import is_v1
from dispatcher.container import Container
from dispatcher.errors import StorageUnavailable
from dispatcher.model.account import Account
from dispatcher.model.event import BODY_LIMIT, Event, EventDraft
from dispatcher.schemas import active
from dispatcher.storage.pipeline.emits import Emit
from dispatcher.web import posted_events
from dispatcher.web.batcher import Batcher
from dispatcher.web.bodies import SMALL_BODY, Body, BodyTooLarge, BodyTooSlow, ClientGone, LargeBodies
from dispatcher.web.callers import Callers
from dispatcher.web.connections import Owed
from dispatcher.web.posted_events import PostedEvents

Returned = TypeVar("Returned")

RENDERED_BYTES = 512 * 1024
"""A body up to this size is rendered on the event loop, which stands still for 0.02 ms an event meanwhile."""
EVENTS_MOST = 1_000
"""In one commit."""

_PATH = re.compile(rf"{PREFIX}/accounts/(?P<slug>[^/]+)/events\.json|{V1}/accounts/(?P<id>[^/]+)/events")
_READS = ("GET", "HEAD")
"""The activity log, which is a route of Flask's."""


def slug_of_emit(environ: dict[str, Any]) -> str | None:
    """The account's slug, or the company's id of it, in the path of a request that is answered here; else None."""
    path = None if environ["REQUEST_METHOD"] in _READS else _PATH.fullmatch(environ["PATH_INFO"])
    return path and (path["slug"] or path["id"])


class EmitEndpoint:
    """For one event loop. What takes long is done in `threads`."""

    def __init__(self, container: Container, callers: Callers, large: LargeBodies, threads: Executor) -> None:
        self._container = container
        self._callers = callers
        self._large = large
        self._threads = threads
        self._tracing = container.tracing
        self._commits: Batcher[Emit, list[Event] | None] = Batcher(
            "commit", container.emitter.emit_batch, most=EVENTS_MOST, for_all=StorageUnavailable
        )
        self._refreshes: Batcher[None, bool] = Batcher(
            "refresh", lambda calls: [container.event_types.refresh()] * len(calls), most=EVENTS_MOST
        )

    async def answer(self, environ: dict[str, Any], body: Body, slug: str) -> Answer:
        """The answer to a request with a `slug_of_emit`; raises ClientGone and BodyTooSlow."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        allowances: list[Allowance] = []
        try:
            if not is_v1(path):
                check_headers(environ)
            if method != "POST":
                raise method_not_allowed("POST" if is_v1(path) else "GET, HEAD, POST")
            admitted = await self._callers.admit(access_token(environ.get("HTTP_AUTHORIZATION", "")), EMITS)
            if admitted is not None and admitted.allowance is not None:
                allowances.append(admitted.allowance)
            account = await self._account(path, admitted, slug, allowances)
            answer = await self._emit(environ, body, account)
        except (ClientGone, BodyTooSlow):
            raise
        except Exception as error:  # whatever it is, it is this request's alone
            answer = error_answer(error, method, path)
        if is_v1(path):
            answer.headers.extend(rate_limit_headers(allowances).items())
        else:
            allowance = allowances[0] if allowances else self._container.access.limiter.unused[DEFAULT]
            answer.headers.extend(quota_headers(allowance).items())
        return answer

    async def _emit(self, environ: dict[str, Any], body: Body, account: Account) -> Answer:
        check_content_type(environ.get("CONTENT_TYPE", ""))
        async with nullcontext() if body.is_small else self._large.place(account.id):
            data = await _read(body)
            posted = await self._newly_parsed(data, environ.get("HTTP_IDEMPOTENCY_KEY"), account.time_zone)
            stored = await self._store(account.id, posted.drafts, environ.get("HTTP_TRACEPARENT"))
        return json_answer(202, posted_events.receipt(stored, account.time_zone, is_array=posted.is_array))

    async def _account(self, path: str, admitted: Admission | None, slug: str, allowances: list[Allowance]) -> Account:
        """Where the caller may emit; raises ApiError. Adds to `allowances` that of an account that has one."""
        if not is_v1(path):
            return authorize(admitted, "events:write", slug).account
        authorize_service(admitted, "events:write")
        check_path(path)
        owner = await self._callers.account(slug)
        if owner is None:
            raise not_found()
        if owner.emits_per_minute is not None:
            limiter = self._container.access.limiter
            allowances.append(limiter.spend(owner.account.id, ACCOUNT_EMITS, owner.emits_per_minute))
            if allowances[-1].exceeded:
                raise too_many(allowances[-1])
        return owner.account

    async def _newly_parsed(self, data: bytes, key: str | None, time_zone: str) -> PostedEvents:
        """Who is refused by what is known here is judged by the event types of this moment; many share the query."""
        known = active()
        try:
            return await self._parse(data, key, time_zone)
        except ValidationError:
            await self._refreshes.do(None)
            if active() is known:
                raise
        return await self._parse(data, key, time_zone)

    async def _parse(self, data: bytes, key: str | None, time_zone: str) -> PostedEvents:
        if len(data) > RENDERED_BYTES:
            return await self._in_thread(posted_events.parse, data, key, time_zone)
        posted = posted_events.render(data, key, time_zone)
        if posted is not None:
            return posted
        if len(data) <= SMALL_BODY and data[:1] == b"{":  # one event is checked sooner than a thread takes over
            return posted_events.check(data, key, time_zone)
        return await self._in_thread(posted_events.check, data, key, time_zone)

    async def _store(self, account_id: int, drafts: Sequence[EventDraft], traceparent: str | None) -> list[Event]:
        if self._tracing is None:
            return await self._commit(Emit(account_id, drafts))
        with self._tracing.emit([draft.name for draft in drafts], traceparent) as span:
            stored = await self._commit(Emit(account_id, drafts, span.traceparent))
            span.stored([event.id for event in stored])
        return stored

    async def _commit(self, emit: Emit) -> list[Event]:
        stored = await self._commits.do(emit, len(emit.drafts))
        if stored is None:  # it has to wait for another emit of one of its keys, and shall not hold up others
            stored = await self._in_thread(self._container.emitter.emit_one, emit)
        return stored

    async def _in_thread(self, call: Callable[..., Returned], *arguments: Any) -> Returned:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *arguments))


async def _read(body: Body) -> bytes:
    if body.is_whole:
        return b""
    try:
        return await body.read(BODY_LIMIT, Owed.KNOWN_BODY)
    except BodyTooLarge:
        raise too_large(BODY_LIMIT) from None
