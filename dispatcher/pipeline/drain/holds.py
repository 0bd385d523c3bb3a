"""A drain's side of the schedule. What Redis does not take is left: holds expire, and `reconcile` rebuilds."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from dispatcher import log
from dispatcher.errors import ScheduleUnavailable
from dispatcher.model.health import Health
from dispatcher.schedule.schedule import Release, Schedule

logger = logging.getLogger(__name__)


class Holds:
    """The webhooks that one drain holds, by its token, and its requests to Redis about them."""

    def __init__(self, schedule: Schedule, hold_s: float, monotonic: Callable[[], float]) -> None:
        self._schedule = schedule
        self._token = schedule.new_token()
        self._hold_s = hold_s
        self._monotonic = monotonic
        self._renewed_s = monotonic()

    def begin(self, webhook_ids: Collection[int]) -> tuple[list[int], dict[int, Health]]:
        """Holds the webhooks; returns those that no other drain holds, and the healths that are known.

        Another does where this message came twice, or waited so long that the webhooks were sent out again.
        """
        try:
            self._schedule.release_abandoned()  # in a child of a prefork pool nobody else does it
            foreign = set(self._schedule.renew(webhook_ids, self._token))
            mine = [id_ for id_ in webhook_ids if id_ not in foreign]
            return mine, self._schedule.healths(mine)
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.schedule_unavailable", reason=error))
            return list(webhook_ids), {}

    def renew_if_due(self, webhook_ids: Collection[int]) -> list[int]:
        """Renews the holds once in a third of their time; returns the webhooks that another drain holds by now."""
        now_s = self._monotonic()
        if now_s - self._renewed_s < self._hold_s / 3 or not webhook_ids:
            return []
        self._renewed_s = now_s
        try:
            return self._schedule.renew(webhook_ids, self._token)
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.renew_failed", reason=error))
            return []

    def release(self, released: Sequence[Release], *, goes_on: bool) -> list[int]:
        """Those that have work now: they are still held, by this drain if it `goes_on` with them."""
        try:
            return self._schedule.release(released, self._token, goes_on=goes_on)
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.release_failed", reason=error))
            self._schedule.abandon([one.webhook_id for one in released], self._token)
            return []

    def spend(self, requested: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, float]]:
        """Tokens, as `Schedule.spend` has it; with Redis down one claim goes in the dark, the next waits its time."""
        try:
            return self._schedule.spend(requested)
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.rate_limits_unavailable", reason=error))
            return {webhook: (count, 0.0) for webhook, (_, count) in requested.items()}
