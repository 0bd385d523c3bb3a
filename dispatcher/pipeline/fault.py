"""A fault of one part must not end a drain, which has the requests of other webhooks in flight: it is logged."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dispatcher import log
from dispatcher.connections.errors import sqlstate
from dispatcher.errors import DispatcherError

logger = logging.getLogger(__name__)


@contextmanager
def guarded(event: str, **fields: object) -> Iterator[None]:
    """Around what may fail without harm to deliveries: `event` is logged then, and what follows goes on."""
    try:
        yield
    except DispatcherError as error:
        logger.warning(log.line(event, **fields, reason=error))
    except Exception as error:  # whatever it is, it is no reason to drop what others have in flight
        log_fault(event, error, **fields)


def log_fault(event: str, error: Exception, **fields: object) -> None:
    """Logs an internal fault with its traceback; of Postgres' errors only the kind, as its words may hold a payload."""
    logger.error(log.line(event, **fields, reason=kind(error)), exc_info=None if sqlstate(error) else error)


def kind(error: Exception) -> str:
    """A word for people, which holds no value: `ValueError`, or `NumericValueOutOfRange (22003)`."""
    code = sqlstate(error)
    name = type(getattr(error, "orig", error)).__name__
    return f"{name} ({code})" if code else name
