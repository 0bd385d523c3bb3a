"""A delivery with all that its payload is rendered from, at any time after it was sent."""

from dispatcher.errors import DeliveryNotFound
from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.webhook import Target
from dispatcher.storage.engine import Connection, rows
from dispatcher.storage.pipeline.deliveries import BODY, TARGET, read_claimed, read_targets, to_send
from dispatcher.storage.secrets import SecretBox

# Index: deliveries_by_id, in each day's partition.
_DELIVERY = to_send("(select * from dispatcher.deliveries where id = %(id)s)", lost="false")

_TARGET = f"select {TARGET} from dispatcher.webhooks where id = %(id)s and deleted_at is null"


def find(connection: Connection, secrets: SecretBox, delivery_id: int) -> tuple[ClaimedDelivery, Target]:
    """The delivery and its webhook; raises DeliveryNotFound, also where its event or webhook is gone."""
    for row in rows(connection, _DELIVERY, id=delivery_id):
        claimed = read_claimed(row, row[BODY], "", 0.0, 0.0)
        target = read_targets(secrets, rows(connection, _TARGET, id=claimed.webhook_id)).get(claimed.webhook_id)
        if claimed.event_name is not None and target is not None:
            return claimed, target
    raise DeliveryNotFound(delivery_id)
