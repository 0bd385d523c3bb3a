"""Events of a polled webhook, for those who cannot receive requests: fetched in order, acknowledged when handled."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import service_models as models
from .clients import AGENT, TIMEOUT_S, BearerToken
from .transport import Transport, segment
from .verification import verify

_PAUSE_S = 1.0
"""Between two requests of which the first found nothing."""


@dataclass(frozen=True)
class PolledEvent:
    """An event as it would have been sent. Its `id` is always the same: it tells what was handled already."""

    id: str
    event_name: str
    data: Any
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)
    cursor: str = field(repr=False)


class PollClient:
    """Fetches with a poll token. `api`: `https://hooks.example.com/api/v1`; a client is for one thread at a time."""

    def __init__(
        self,
        api: str,
        token: str,
        external_id: str,
        webhook_id: int,
        *,
        user_agent: str = AGENT,
        timeout_s: float = TIMEOUT_S,
        retries: int = 2,
    ) -> None:
        self._transport = Transport(api, user_agent=user_agent, timeout_s=timeout_s, retries=retries)
        self._transport.authorizer = BearerToken(token)
        self._path = f"/accounts/{segment(external_id)}/poll/{segment(webhook_id)}"

    def fetch(self, *, cursor: str | None = None, limit: int | None = None, wait_s: int | None = None) -> models.Poll:
        """The next deliveries after `cursor`; waits up to `wait_s` (at most 30) for the first."""
        page: models.Poll = self._transport.call(
            "GET", self._path, query={"cursor": cursor, "limit": limit, "wait": wait_s}
        )
        return page

    def acknowledge(self, cursor: str) -> int:
        """All up to `cursor` were handled; returns how many were not acknowledged before."""
        acknowledged: models.Acknowledged = self._transport.call(
            "POST", f"{self._path}/ack", body={"cursor": cursor}, is_repeatable=True
        )
        return acknowledged["acknowledged"]

    def events(
        self,
        *,
        secrets: str | Iterable[str] | None = None,
        limit: int | None = None,
        wait_s: int = 20,
        stop_when_empty: bool = False,
    ) -> Iterator[PolledEvent]:
        """Events, in order, without end, or until there are none.

        An event is handled when the next one is asked for. What was handled is acknowledged with the end of its page,
        and when the loop is left, also by an exception: then the event that raised it comes again. So may others, after
        a crash: handle an `id` once. With `secrets` each event is verified (`verify`).
        """
        keys = [secrets] if isinstance(secrets, str) else secrets and list(secrets)
        while True:
            asked_s = time.monotonic()
            page = self.fetch(limit=limit, wait_s=wait_s)
            handled: str | None = page["cursor"] if not page["data"] and page["has_more"] else None
            try:
                for one in page["data"]:
                    data = json.loads(one["body"]) if keys is None else verify(one["body"], one["headers"], keys)
                    yield PolledEvent(**one, data=data)
                    handled = one["cursor"]
            finally:
                if handled is not None:
                    self.acknowledge(handled)
            if page["data"] or page["has_more"]:
                continue
            if stop_when_empty:
                return
            time.sleep(max(0.0, asked_s + _PAUSE_S - time.monotonic()))
