"""Hourly: the next days get their partitions, days past their retention go, whole; so do old tokens and replays.

And what accounts keep for a shorter time, or is left of accounts that were deleted, goes row by row.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from dispatcher import log
from dispatcher.connections.adapter import completed
from dispatcher.connections.errors import took_too_long
from dispatcher.connections.recognise import adapter_for
from dispatcher.errors import StorageUnavailable
from dispatcher.pipeline import erasures
from dispatcher.pipeline.event_types import refresh_by
from dispatcher.pipeline.fault import guarded
from dispatcher.pipeline.payload_retention import erase_expired
from dispatcher.settings import Outbox
from dispatcher.storage import alerts
from dispatcher.storage.admin import audit, erase, idempotent_requests, tokens
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.pipeline import polls
from dispatcher.storage.replays import jobs
from dispatcher.storage.stats import partitions, rollups

logger = logging.getLogger(__name__)

T = TypeVar("T")

AUDIT_DAYS = 365
"""For which the audit log is kept, by default."""
ERASE_S = 30.0
"""How long the history of one account is erased at most; the next prune goes on."""
ERASURE_S = 300.0
"""How long the payloads of one person are."""


def prune(
    storage: Storage, retention_days: int, audit_days: int = AUDIT_DAYS, outboxes: Sequence[Outbox] = ()
) -> list[str]:
    """The partitions that were dropped. Harmless when doubled; what somebody reads is left for the next time."""
    for day in storage.read(partitions.missing):
        _if_free(storage, partial(partitions.make, day=day), day.strftime("days_%Y%m%d"))
    for webhook_id, days in storage.read(polls.retentions, retention_days).items():  # else it keeps its events' days
        while expired := storage.autocommit(polls.expire, webhook_id, days):
            logger.info(log.line("deliveries.not_fetched", webhook_id=webhook_id, count=expired))
    dropped = _drop(storage, retention_days)
    if expired := storage.transact(tokens.prune):
        logger.info(log.line("tokens.dropped", count=expired))
    if ended := storage.transact(jobs.prune, retention_days):
        logger.info(log.line("replays.dropped", count=ended))
    storage.transact(rollups.prune)
    storage.transact(idempotent_requests.prune)
    storage.transact(audit.prune, audit_days)
    storage.transact(alerts.prune)
    if erased := erase.keep_retentions(storage, ERASE_S):
        logger.info(log.line("history.erased", count=erased))
    storage.autocommit(lambda connection: completed(refresh_by(adapter_for(connection))))  # they say what is kept
    if expired := erase_expired(storage, ERASURE_S):
        logger.info(log.line("payloads.expired", count=expired))
    with guarded("erasure.not_finished"):  # an outbox may be down
        for erasure in erasures.run_pending(storage, outboxes, ERASURE_S):
            logger.info(log.line("erasure.continued", erasure_id=erasure.id, finished=erasure.finished_at is not None))
    for account_id in storage.read(erase.deleted_accounts):
        with guarded("account.not_erased", account_id=account_id):  # the others are
            if erase.finish_deletion(storage, account_id, ERASE_S):
                logger.info(log.line("account.erased", account_id=account_id))
    return dropped


def _drop(storage: Storage, retention_days: int) -> list[str]:
    dropped: list[str] = []
    busy: set[str] = set()  # tables: who reads one of their days most likely reads the others, too
    expired = storage.read(partitions.expired, retention_days=retention_days)
    for name in expired:
        table = name.partition("_")[0]
        if table in busy:
            continue
        is_dropped = _if_free(storage, partial(partitions.drop, name=name), name)
        if is_dropped is None:
            busy.add(table)
        elif is_dropped:
            logger.info(log.line("history.dropped", partition=name))
            dropped.append(name)
    return dropped


def _if_free(storage: Storage, work: Callable[[Connection], T], name: str) -> T | None:
    """What `work` returns, in a transaction; None where it needs a table that somebody has."""
    try:
        return storage.transact(work)
    except StorageUnavailable as error:
        if not took_too_long(error):
            raise
        logger.warning(log.line("history.busy", partition=name, reason="a transaction holds its table; tried later"))
        return None
