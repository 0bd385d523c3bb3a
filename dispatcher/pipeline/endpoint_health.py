"""What follows for a webhook from its responses: since when it fails, whether it is disabled, who is notified.

410 Gone, or nothing but failures for days      disabled, with a reason and a time; pending deliveries are kept
webhook_deactivated, webhook_recovered,         operational events, to the account's webhooks that subscribed to them
delivery_failed
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from dispatcher import log
from dispatcher.errors import StorageUnavailable
from dispatcher.model.attempt import for_clients
from dispatcher.model.delivery import ClaimedDelivery, State
from dispatcher.model.event import EventDraft
from dispatcher.pipeline.drain.lane import Lane
from dispatcher.pipeline.fault import log_fault
from dispatcher.schemas.catalogue import OPERATIONAL_EVENTS
from dispatcher.schemas.wire.operational import operational_json
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.pipeline import emits
from dispatcher.storage.pipeline.deliveries import JudgedAttempt

logger = logging.getLogger(__name__)

GONE = "410"


@dataclass(slots=True)
class Observations:
    """What a few results say of their webhooks; keyed by the webhook's id, each with one of its deliveries."""

    healthy: dict[int, ClaimedDelivery] = field(default_factory=dict)
    """Succeeded, and had failed before."""
    failing: dict[int, ClaimedDelivery] = field(default_factory=dict)
    """Failed for the first time."""
    to_disable: dict[int, tuple[ClaimedDelivery, str]] = field(default_factory=dict)
    """To be disabled, and why."""
    recovered: dict[int, ClaimedDelivery] = field(default_factory=dict)
    """Their breaker has closed."""
    failed: list[JudgedAttempt] = field(default_factory=list)
    """Deliveries whose attempts are used up."""

    def __bool__(self) -> bool:
        """Whether there is anything to store or publish."""
        return bool(self.healthy or self.failing or self.to_disable or self.recovered or self.failed)


def update_webhooks(
    storage: Storage, finished: Sequence[JudgedAttempt], lanes: Mapping[int, Lane], give_up_after_s: float
) -> list[int]:
    """Stores what these results say of their webhooks; returns those that were disabled.

    What is not stored is observed again with the next results. A fault of one webhook does not keep the others from
    the rows.
    """
    observed = observe(finished, lanes, give_up_after_s)
    if not observed:
        return []
    try:
        disabled = apply(storage, observed)
    except StorageUnavailable as error:
        logger.warning(log.line("drain.endpoint_health_failed", reason=error))
        return []
    except Exception as error:  # any: one webhook must not cost the results of all
        ids = {one.claimed.webhook_id for one in finished}
        if len(ids) == 1:
            log_fault("drain.endpoint_health_failed", error, webhook_id=ids.pop())
            return []
        parts = ([one for one in finished if one.claimed.webhook_id == id_] for id_ in ids)
        return [id_ for part in parts for id_ in update_webhooks(storage, part, lanes, give_up_after_s)]
    for webhook_id in observed.recovered:
        lanes[webhook_id].recovery_published()
    return disabled


def observe(finished: Iterable[JudgedAttempt], lanes: Mapping[int, Lane], give_up_after_s: float) -> Observations:
    """Sorts results; reads no clock of this process: `Target.failing_s` is Postgres'."""
    observed = Observations()
    for one in finished:
        claimed, id_ = one.claimed, one.claimed.webhook_id
        target = lanes[id_].target
        failing_s = target.failing_s if target else None
        if lanes[id_].recovered:
            observed.recovered[id_] = claimed
        if one.verdict.state is State.FAILED:
            observed.failed.append(one)
        if not one.sent:
            continue
        if one.verdict.state is State.DELIVERED:
            if failing_s is not None:
                observed.healthy[id_] = claimed
        elif one.result.status == GONE:
            observed.to_disable[id_] = (claimed, "the receiver answered 410 Gone")
        elif failing_s is None:
            observed.failing[id_] = claimed
        elif failing_s > give_up_after_s:
            observed.to_disable[id_] = (claimed, f"nothing but failures for {give_up_after_s / 86_400:g} days")
    for id_ in observed.healthy:
        observed.failing.pop(id_, None)
        if id_ in observed.to_disable and GONE not in observed.to_disable[id_][1]:
            del observed.to_disable[id_]
    return observed


def apply(storage: Storage, observed: Observations) -> list[int]:
    """Stores the observations and publishes events of them, in one transaction; returns the disabled webhooks."""

    def work(connection: Connection) -> list[int]:
        if observed.healthy:
            webhooks.mark_recovered(connection, observed.healthy)
        if observed.failing:
            webhooks.mark_failing(connection, observed.failing)
        disabled = [
            id_ for id_, (claimed, reason) in observed.to_disable.items() if _disable(connection, claimed, reason)
        ]
        for claimed in observed.recovered.values():
            account_id, url = webhooks.account_of(connection, claimed.webhook_id)
            _publish(
                connection, account_id, "webhook_recovered", claimed, {"webhook": _state(claimed, url, active=True)}
            )
        _publish_failed(
            connection, [one for one in observed.failed if one.claimed.event_name not in OPERATIONAL_EVENTS]
        )
        return disabled

    return storage.transact(work)


def _disable(connection: Connection, claimed: ClaimedDelivery, reason: str) -> bool:
    done = webhooks.deactivate(connection, claimed.webhook_id, reason)
    if done is None:
        return False
    account_id, url, at = done
    logger.warning(log.line("webhook.disabled", webhook_id=claimed.webhook_id, reason=repr(reason)))
    state = _state(claimed, url, active=False) | {"deactivated_at": at, "deactivated_reason": reason}
    _publish(connection, account_id, "webhook_deactivated", claimed, {"webhook": state})
    return True


def _publish_failed(connection: Connection, failed: Sequence[JudgedAttempt]) -> None:
    for webhook_id in {one.claimed.webhook_id for one in failed}:
        account_id, _ = webhooks.account_of(connection, webhook_id)
        if not webhooks.has_subscriber(connection, account_id, "delivery_failed"):
            continue
        of_this = [one for one in failed if one.claimed.webhook_id == webhook_id]
        drafts = [_draft("delivery_failed", one.claimed, {"delivery": _failed(one)}) for one in of_this]
        emits.insert(connection, account_id, drafts)


def _publish(
    connection: Connection, account_id: int, name: str, claimed: ClaimedDelivery, body: dict[str, Any]
) -> None:
    if webhooks.has_subscriber(connection, account_id, name):
        emits.insert(connection, account_id, [_draft(name, claimed, body)])


def _draft(name: str, claimed: ClaimedDelivery, body: dict[str, Any]) -> EventDraft:
    return EventDraft(name=name, body_json=operational_json(body, claimed.time_zone).encode())


def _state(claimed: ClaimedDelivery, url: str, *, active: bool) -> dict[str, Any]:
    return {
        "id": claimed.webhook_id,
        "webhook_url": urlsplit(url)._replace(query="", fragment="").geturl(),
        "active": active,
        "deactivated_at": None,
        "deactivated_reason": None,
    }


def _failed(one: JudgedAttempt) -> dict[str, Any]:
    return {
        "id": one.claimed.id,
        "webhook_id": one.claimed.webhook_id,
        "event_name": one.claimed.event_name,
        "idempotency_key": one.claimed.idempotency_key,
        "attempts": one.claimed.attempt_number,
        "response_status": for_clients(one.result.status, one.result.reason)[0],
    }
