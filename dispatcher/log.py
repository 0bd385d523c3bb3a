"""Logs: one line a step, `event key=value ...`. Ids always; payloads, headers and full URLs never."""

import logging
import sys


def line(event: str, **fields: object) -> str:
    """`event` and its fields as one line; a field that is None is left out."""
    return " ".join([event, *(f"{name}={value}" for name, value in fields.items() if value is not None)])


def set_up(level: str) -> None:
    """Sends every logger's lines of `level` and above to standard error."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, force=True, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    # What a task did is in our own lines and in Flower; Celery would add two for each.
    for noisy in (
        "urllib3",
        "amqp",
        "kombu",
        "alembic",
        "celery.bootsteps",
        "celery.worker.strategy",
        "celery.app.trace",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
