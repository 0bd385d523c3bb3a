"""Hourly: the next days get their partitions, and days past their retention go, whole."""

import logging

from dispatcher import log
from dispatcher.storage import partitions
from dispatcher.storage.engine import Storage

logger = logging.getLogger(__name__)


def prune(storage: Storage, retention_days: int) -> list[str]:
    """The partitions that were dropped. Harmless when doubled."""
    dropped = storage.run(lambda connection: partitions.prune(connection, retention_days))
    for name in dropped:
        logger.info(log.line("history.dropped", partition=name))
    return dropped
