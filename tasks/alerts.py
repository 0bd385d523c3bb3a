"""`tasks.alert`, on queue `deliveries.slow`."""

from dispatcher.broker.names import ALERT, acceptable
from dispatcher.current import current_container
from dispatcher.tasks.celery import app


@app.task(name=ALERT)
def alert(channel_ids: list[int]) -> dict[str, int]:
    """Sends channels their news; returns counts, which Flower shows."""
    return current_container().alerts.send(acceptable(channel_ids))
