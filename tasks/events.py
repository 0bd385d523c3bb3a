"""`tasks.fan_out`, on queue `events`."""

from dataclasses import asdict

from dispatcher.broker.names import FAN_OUT
from dispatcher.current import current_container
from dispatcher.tasks.celery import app


@app.task(name=FAN_OUT)
def fan_out() -> dict[str, int]:
    """Events in the outbox become deliveries, as long as they keep coming; returns counts, which Flower shows."""
    done, sent = current_container().fan_out_runner.run()
    counts = {"events": done.events, "deliveries": done.deliveries, "webhooks": len(done.webhook_ids)}
    return counts | asdict(sent)
