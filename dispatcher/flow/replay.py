"""People ask for a delivery once more: the same Idempotency-Key, its tries start anew."""

from dispatcher.errors import MoveIllegal
from dispatcher.flow.record_event import RESOURCE_KEYS
from dispatcher.flow.wake import wake
from dispatcher.schedule.clock import Schedule
from dispatcher.storage import deliveries, reports
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.reports import DeliveryRow


def replay(
    storage: Storage, schedule: Schedule, id_or_key: str, *, account_id: int | None = None, client_id: int | None = None
) -> DeliveryRow:
    """Makes a finished delivery pending and due; raises DeliveryUnknown, or MoveIllegal where it is pending already.

    With `account_id` and `client_id` only a delivery of that account, to a webhook of that client, is known.
    """

    def move(connection: Connection) -> tuple[DeliveryRow, int | None]:
        found = reports.delivery(connection, id_or_key, account_id=account_id, client_id=client_id)
        return found, deliveries.replay(connection, found.id, RESOURCE_KEYS)

    found, webhook_id = storage.run(move)
    if webhook_id is None:
        raise MoveIllegal(str(found.id), found.state, "pending")  # it is already, or its webhook was deleted
    wake(schedule, {webhook_id: 0.0}, afresh=True)
    return storage.run(lambda connection: reports.delivery(connection, id_or_key))
