"""A webhook is tried out: one signed POST at once, which is no event, no delivery, and in no history.

It holds `ping`, or the catalogue's example of an event, in that event's envelope; a header marks the example.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from dispatcher import clock
from dispatcher.errors import InvalidWebhook, TooManyPings
from dispatcher.ids import new_uuid7
from dispatcher.model.attempt import Result, Status, for_clients
from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.webhook import PayloadVersion, Target
from dispatcher.payload import headers, render
from dispatcher.schemas import active
from dispatcher.schemas.api.delivery import PingRequestSchema
from dispatcher.schemas.catalogue import FIRST
from dispatcher.schemas.errors import DowngradeFailed
from dispatcher.schemas.wire.payload import LEGACY_EVENTS
from dispatcher.sender.contract import Sender, request_to
from dispatcher.sender.pool import SenderPool
from dispatcher.settings import Settings
from dispatcher.storage.admin import accounts, webhooks
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.pipeline import deliveries
from dispatcher.storage.secrets import SecretBox

EVENT_NAME = "ping"
TEST_HEADER = ("webhook-test", "true")
"""Of an example: no header of a webhook's owner can begin with `webhook-`."""
_requested = PingRequestSchema()


@dataclass(frozen=True, kw_only=True, slots=True)
class PingResult:
    """The key that the POST carried, and what came back; `response_status` is that of an attempt."""

    idempotency_key: str
    response_status: str
    reason: str | None
    duration_ms: int
    response_content_type: str | None
    response_body: str | None
    response_headers: str | None

    def for_clients(self) -> "PingResult":
        """As its webhook's owner is to see it (`model.attempt.for_clients`)."""
        status, reason = for_clients(self.response_status, self.reason)
        return replace(self, response_status=status, reason=reason)


class PingSlots:
    """Pings and test alerts that may wait for a response at a time; half of them at most are one owner's."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def acquire(self, owner: str) -> Iterator[None]:
        """A slot for the owner, such as an account's slug, while the block lasts; raises TooManyPings."""
        with self._lock:
            if self._taken.total() >= self._count or self._taken[owner] >= max(1, self._count // 2):
                raise TooManyPings
            self._taken[owner] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= Counter((owner,))


class Pinger:
    """Sends pings, each by a sender that nobody else uses meanwhile."""

    def __init__(self, storage: Storage, senders: SenderPool, settings: Settings) -> None:
        self._storage = storage
        self._senders = senders
        # A ping may take as long as a receiver likes, within the timeout: other requests must find a thread meanwhile.
        self.slots = PingSlots(max(1, settings.web_threads // 2))
        self._user_agent = settings.user_agent

    def ping(
        self,
        slug: str,
        webhook_id: int,
        requested: Mapping[str, Any] | None = None,
        *,
        client_id: int | None = None,
    ) -> PingResult:
        """Sends `ping` with an empty body to the webhook, active or not, and waits for the response.

        Or the example of an event that was requested (dispatcher.schemas.api.delivery.PingRequestSchema), whether the
        webhook wants it or not. Signed, addressed and bounded as a delivery is. A legacy webhook gets envelopes too
        where there is no flat object. Raises WebhookNotFound, InvalidWebhook where it is polled, marshmallow's
        ValidationError, and TooManyPings where too many are under way.
        """
        event_name = _requested.load(dict(requested or {}))["event_name"]
        with self.slots.acquire(slug):
            sender = self._senders.borrow()
            try:
                return self._send(sender, *self._storage.transact(
                    _claimed, self._storage.secrets, slug, webhook_id, client_id, event_name
                ))  # fmt: skip
            finally:
                self._senders.give_back(sender)

    def _send(self, sender: Sender, claimed: ClaimedDelivery, target: Target) -> PingResult:
        try:
            body = render(claimed, target)
        except DowngradeFailed as error:
            failed = Result(tag=0, status=Status.UNKNOWN_ERROR, reason=str(error), started_s=0.0, finished_s=0.0)
            return _ping_result(claimed.idempotency_key, failed)
        sent_at = int(claimed.event_created_at.timestamp())
        sent = headers(claimed, target, body, sent_at, self._user_agent)
        if claimed.event_name != EVENT_NAME:
            sent.append(TEST_HEADER)
        sender.start(request_to(target, claimed, sent, body, keeps_headers=True))
        while not (results := sender.results(1.0)):  # its own limit ends the wait
            pass
        return _ping_result(claimed.idempotency_key, results[0])


def _ping_result(key: str, result: Result) -> PingResult:
    return PingResult(
        idempotency_key=key,
        response_status=str(result.status),
        reason=result.reason,
        duration_ms=round((result.finished_s - result.started_s) * 1000),
        response_content_type=deliveries.stored_text(result.content_type),
        response_body=deliveries.stored_text(result.body.decode("utf-8", "replace")),
        response_headers=deliveries.stored_text(result.headers),
    )


def _claimed(
    connection: Connection,
    secrets: SecretBox,
    slug: str,
    webhook_id: int,
    client_id: int | None,
    event_name: str | None,
) -> tuple[ClaimedDelivery, Target]:
    """The ping as if it were a claimed delivery, and where it goes."""
    account = accounts.find(connection, slug)
    if webhooks.find(connection, secrets, account.id, webhook_id, client_id=client_id).delivery == "poll":
        raise InvalidWebhook({"delivery": ["is poll: nothing is sent to this webhook"]})
    target = deliveries.targets(connection, secrets, {webhook_id})[webhook_id]
    if event_name not in LEGACY_EVENTS:
        target = replace(target, payload_version=PayloadVersion.V3)
    now = clock.now()
    claimed = ClaimedDelivery(
        webhook_id=webhook_id,
        idempotency_key=str(new_uuid7(now)),
        event_name=event_name or EVENT_NAME,
        event_version=active().events[event_name].version if event_name else FIRST,
        event_created_at=now,
        body_json=_example(event_name) if event_name else "{}",
        time_zone=account.time_zone,
    )
    return claimed, target


def _example(event_name: str) -> str:
    return json.dumps(active().events[event_name].example, ensure_ascii=False, separators=(",", ":"))
