"""One delivery is sent by request: again once it is finished (`replay`), or now while it waits (`retry_now`).

Both keep the Idempotency-Key. A replay counts attempts from 1.
"""

from collections.abc import Callable

from dispatcher.errors import IllegalTransition, RetryRefused
from dispatcher.pipeline.wake import wake
from dispatcher.replays import waiting
from dispatcher.schedule.schedule import Schedule
from dispatcher.settings import Settings
from dispatcher.storage.admin import audit, webhooks
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.pipeline import deliveries
from dispatcher.storage.reads import deliveries as delivery_reads
from dispatcher.storage.reads.deliveries import DeliveryRow


def replay(
    storage: Storage,
    schedule: Schedule,
    id_or_key: str,
    *,
    limit: int,
    account_id: int | None = None,
    client_id: int | None = None,
) -> DeliveryRow:
    """Makes a finished delivery pending and due, unless that was done `limit` times.

    Raises DeliveryNotFound, or IllegalTransition with the reason. With `account_id` and `client_id`, only one of that
    account, to a webhook of that client, is known.
    """
    delivery = storage.transact(delivery_reads.delivery, id_or_key, account_id=account_id, client_id=client_id)

    webhook_id = _audited(
        storage, "delivery.redelivered", delivery.id, lambda on: deliveries.replay(on, delivery.id, limit)
    )
    if webhook_id is None:
        state, reason = storage.read(deliveries.why_not, delivery.id, limit)
        raise IllegalTransition(str(delivery.id), state, "pending", reason)
    storage.after_commit(lambda: wake(schedule, {webhook_id: 0.0}, afresh=True))
    return storage.transact(delivery_reads.delivery, id_or_key)


def retry_now(
    storage: Storage,
    schedule: Schedule,
    settings: Settings,
    id_or_key: str,
    *,
    account_id: int | None = None,
    client_id: int | None = None,
) -> DeliveryRow:
    """Makes a pending delivery due at once, also where its receiver is paused, or its breaker open.

    The attempt counts as any other. Raises DeliveryNotFound, or IllegalTransition with the reason.
    """
    whose = {"account_id": account_id, "client_id": client_id}
    delivery = waiting.find(storage, schedule, settings, id_or_key, **whose)

    webhook_id = _audited(storage, "delivery.retried", delivery.id, lambda on: deliveries.retry_now(on, delivery.id))
    if webhook_id is None:
        reason = delivery.waiting.text if delivery.waiting else "only a pending delivery can be; redeliver it instead"
        raise RetryRefused(str(delivery.id), delivery.state, reason)
    storage.after_commit(lambda: wake(schedule, {webhook_id: 0.0}, afresh=True))
    return waiting.find(storage, schedule, settings, id_or_key, **whose)


def _audited(storage: Storage, action: str, delivery_id: int, change: Callable[[Connection], int | None]) -> int | None:
    """The id of the webhook that `change` returns, with an entry of the audit log; None where it changed nothing."""

    def changed(connection: Connection) -> int | None:
        webhook_id = change(connection)
        if webhook_id is not None:
            owner_id, _ = webhooks.account_of(connection, webhook_id)
            audit.record(connection, action, delivery_id, account_id=owner_id, webhook_id=webhook_id)
        return webhook_id

    return storage.transact(changed)
