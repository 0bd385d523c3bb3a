"""A drain's side of the clock. What Redis does not take is left: holds end by themselves, and `reconcile` rebuilds."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from dispatcher import log
from dispatcher.errors import ScheduleUnavailable
from dispatcher.model.health import Health
from dispatcher.schedule.clock import Released, Schedule

logger = logging.getLogger(__name__)


class Holds:
    """The webhooks that one drain holds, and what it asks Redis about them."""

    def __init__(self, schedule: Schedule, hold_s: float, monotonic: Callable[[], float]) -> None:
        self._schedule = schedule
        self._hold_s = hold_s
        self._monotonic = monotonic
        self._renewed_s = monotonic()

    def begin(self, webhook_ids: Collection[int]) -> dict[int, Health]:
        """Renews the holds, since the message may have waited for most of them; returns the healths that are known."""
        try:
            self._schedule.renew(webhook_ids)
            return self._schedule.healths(list(webhook_ids))
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.without_clock", reason=error))
            return {}

    def renew_if_due(self, webhook_ids: Collection[int]) -> None:
        """Renews the holds once in a third of their time."""
        now_s = self._monotonic()
        if now_s - self._renewed_s < self._hold_s / 3 or not webhook_ids:
            return
        self._renewed_s = now_s
        try:
            self._schedule.renew(webhook_ids)
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.renew_failed", reason=error))

    def release(self, released: Sequence[Released]) -> list[int]:
        """Those that have work now: they are still held."""
        try:
            return self._schedule.release(released)
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.release_failed", reason=error))
            return []

    def spend(self, wanted: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, float]]:
        """Tokens, as `Schedule.spend` has it; with Redis down one claim goes in the dark, the next waits its time."""
        try:
            return self._schedule.spend(wanted)
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.without_buckets", reason=error))
            return {webhook: (count, 0.0) for webhook, (_, count) in wanted.items()}
