"""Deliveries of a polled webhook, fetched in order with the body and headers of the request that is not sent.

They are the reader's until it acknowledges them: whoever asks again from the same place gets the same ones.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from dispatcher import clock, log
from dispatcher.errors import InvalidWebhook, SecretDecryptionFailed
from dispatcher.model.webhook import POLL_URL, Target
from dispatcher.payload import headers, payload
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.schedule.counters import Counters
from dispatcher.schemas.active_catalogues import active_with
from dispatcher.schemas.api.signing import RotationSchema
from dispatcher.schemas.errors import DowngradeFailed
from dispatcher.storage.admin import audit, poll_tokens, webhooks
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.pipeline import deliveries, polls
from dispatcher.storage.pipeline.polls import KeptDelivery

logger = logging.getLogger(__name__)

BYTES = 4 * 1024 * 1024
"""Of bodies in one page, or one body that is larger."""
PATIENCE_S = 3_600.0
"""A delivery is this old at least before it fails because it cannot be rendered."""
_rotation = RotationSchema()


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchedDelivery:
    """A delivery as it is fetched."""

    position: int
    id: str
    event_name: str
    headers: Mapping[str, str]
    body: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class PollToken:
    """A new token, and until when the one before goes on; None: there is none."""

    token: str = field(repr=False)
    previous_valid_until: datetime | None


def fetch(
    storage: Storage, policy: DrainPolicy, webhook_id: int, *, after: int, limit: int
) -> tuple[list[FetchedDelivery], int, bool]:
    """Deliveries in their places beyond `after`; the last place that was read, and whether more may follow.

    What cannot be rendered stops what comes after it for PATIENCE_S: a process of the next release may know how. Then
    it fails, and is left out.
    """

    def read() -> list[KeptDelivery]:
        return storage.read(polls.page, webhook_id, after=after, limit=limit, most_bytes=BYTES)

    kept = read()
    if not kept and storage.read(polls.ready, [(webhook_id, after)]):
        storage.autocommit(polls.place, webhook_id, limit)  # unless somebody else has just done it
        kept = read()
    gone = [one for one in kept if not one.claimed.event_name]
    if gone:
        storage.autocommit(polls.fail, [one.claimed.id for one in gone], deliveries.EVENT_GONE)
        kept = [one for one in kept if one not in gone]
    if not kept:
        return [], gone[-1].position if gone else after, bool(gone)
    target = storage.read(deliveries.targets, storage.secrets, {webhook_id}).get(webhook_id)
    if target is None:
        raise SecretDecryptionFailed
    sent_at = int(clock.now().timestamp())
    fetched: list[FetchedDelivery] = []
    for one in kept:
        try:
            fetched.append(_rendered(policy, _without_secrets(target), one, sent_at))
        except Exception as error:  # whatever it is, it is this delivery's alone
            reason = str(error) if isinstance(error, DowngradeFailed) else type(error).__name__
            logger.error(log.line("delivery.not_rendered", delivery_id=one.claimed.id, webhook_id=webhook_id,
                                  reason=repr(reason)))  # fmt: skip
            if one.age_s < PATIENCE_S:
                return fetched, one.position - 1, False
            storage.autocommit(polls.fail, [one.claimed.id], f"the payload cannot be rendered: {reason}")
    return fetched, kept[-1].position, True


def acknowledge(storage: Storage, counters: Counters, webhook_id: int, up_to: int) -> int:
    """Up to that place all are delivered; returns how many were not before. Harmless when repeated."""
    total, count = 0, polls.ENDED_AT_ONCE
    while count == polls.ENDED_AT_ONCE:
        count = storage.autocommit(polls.acknowledge, webhook_id, up_to)
        total += count
    if total:
        counters.add({"finished:delivered": total, "attempts:2xx": total})
    return total


def rotate_token(
    storage: Storage, account_id: int, webhook_id: int, options: Mapping[str, Any] | None = None
) -> PollToken:
    """A new token; the one before goes on for a day, or as long as the options say (RotationSchema).

    Raises WebhookNotFound, InvalidWebhook where it is not polled, and marshmallow's ValidationError.
    """
    valid_for = timedelta(seconds=_rotation.load(dict(options or {}))["previous_valid_for_s"])

    def store(connection: Connection) -> PollToken:
        require_polled(webhooks.find(connection, storage.secrets, account_id, webhook_id).webhook_url)
        token, until = poll_tokens.rotate(connection, webhook_id, valid_for)
        audit.record(connection, "webhook.poll_token_rotated", webhook_id, account_id=account_id)
        return PollToken(token=token, previous_valid_until=until)

    return storage.transact(store)


def require_polled(webhook_url: str) -> None:
    """Raises InvalidWebhook for one whose deliveries are sent."""
    if webhook_url != POLL_URL:
        raise InvalidWebhook({"delivery": ["must be poll"]})


def _rendered(policy: DrainPolicy, target: Target, kept: KeptDelivery, sent_at: int) -> FetchedDelivery:
    claimed = kept.claimed
    active_with(claimed.event_name, claimed.event_version)
    body = payload(claimed, target, policy.claim_checks, sent_at)
    sent = headers(claimed, target, body, sent_at, policy.user_agent)
    return FetchedDelivery(
        position=kept.position,
        id=claimed.idempotency_key,
        event_name=claimed.event_name,
        headers={name: value for name, value in sent if name != "User-Agent"},
        body=body.decode(),
    )


def _without_secrets(target: Target) -> Target:
    """These prove the sender to a receiver; a reader of the API needs no proof."""
    return replace(target, auth_header=None, options=replace(target.options, secret_headers={}))
