"""Redelivers one delivery: the same Idempotency-Key, its attempts are counted anew."""

from dispatcher.errors import IllegalTransition
from dispatcher.pipeline.wake import wake
from dispatcher.schedule.schedule import Schedule
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

    def redeliver(connection: Connection) -> int | None:
        webhook_id = deliveries.replay(connection, delivery.id, limit)
        if webhook_id is not None:
            owner_id, _ = webhooks.account_of(connection, webhook_id)
            audit.record(connection, "delivery.redelivered", delivery.id, account_id=owner_id, webhook_id=webhook_id)
        return webhook_id

    webhook_id = storage.transact(redeliver)
    if webhook_id is None:
        state, reason = storage.read(deliveries.why_not, delivery.id, limit)
        raise IllegalTransition(str(delivery.id), state, "pending", reason)
    storage.after_commit(lambda: wake(schedule, {webhook_id: 0.0}, afresh=True))
    return storage.transact(delivery_reads.delivery, id_or_key)
