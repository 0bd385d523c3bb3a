"""`tasks.fan_out`, on queue `events`."""

from dispatcher.queue import FAN_OUT
from dispatcher.services import services
from tasks.celery import app


@app.task(name=FAN_OUT)
def fan_out() -> dict[str, int]:
    """Events in the outbox become deliveries; returns counts, which Flower shows."""
    done = services().fan_out()
    return {"events": done.event_count, "deliveries": done.delivery_count, "webhooks": len(done.webhook_ids)}
