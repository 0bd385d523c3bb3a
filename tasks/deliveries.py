"""`tasks.deliver`, on queues `deliveries` and `deliveries.slow`."""

import logging
from dataclasses import asdict

from dispatcher import log
from dispatcher.broker.names import DELIVER, acceptable
from dispatcher.current import current_container
from dispatcher.tasks.celery import app

logger = logging.getLogger(__name__)


@app.task(name=DELIVER)
def deliver(webhook_ids: list[int]) -> dict[str, int]:
    """One drain over webhooks that are held for it; returns counts, which Flower shows.

    What is no id of ours is refused: else whoever may write to the broker could end drain after drain.
    """
    accepted = acceptable(webhook_ids)
    if len(accepted) < len(webhook_ids):
        logger.warning(log.line("deliver.ids_refused", refused=len(webhook_ids) - len(accepted)))
    container = current_container()
    container.event_types.keep_current()
    return asdict(container.drain_runner.run(accepted))
