"""`tasks.deliver`, on queues `deliveries` and `deliveries.slow`."""

from dataclasses import asdict

from dispatcher.queue import DELIVER
from dispatcher.services import services
from tasks.celery import app


@app.task(name=DELIVER)
def deliver(webhook_ids: list[int]) -> dict[str, int]:
    """One drain over webhooks that are held for it; returns counts, which Flower shows."""
    return asdict(services().deliver(webhook_ids))
