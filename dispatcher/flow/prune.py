"""Hourly: the next days get their partitions, days past their retention go, whole; so do old tokens and replays."""

import logging

from dispatcher import log
from dispatcher.storage import figures, partitions, replays, tokens
from dispatcher.storage.engine import Storage

logger = logging.getLogger(__name__)


def prune(storage: Storage, retention_days: int) -> list[str]:
    """The partitions that were dropped. Harmless when doubled."""
    dropped = storage.run(lambda connection: partitions.prune(connection, retention_days))
    for name in dropped:
        logger.info(log.line("history.dropped", partition=name))
    if expired := storage.run(tokens.prune):
        logger.info(log.line("tokens.dropped", count=expired))
    if ended := storage.run(lambda connection: replays.prune(connection, retention_days)):
        logger.info(log.line("replays.dropped", count=ended))
    storage.run(figures.prune)
    return dropped
