"""After a commit: webhooks have work, and become due. With Redis down nothing is lost: reconcile finds them."""

import logging
from collections.abc import Mapping

from dispatcher import log
from dispatcher.errors import ScheduleUnavailable
from dispatcher.schedule.schedule import Schedule

logger = logging.getLogger(__name__)


def wake(schedule: Schedule, waits_s: Mapping[int, float], *, afresh: bool = False) -> None:
    """Makes each webhook due after its seconds from now. Never raises: what it follows is committed already.

    `afresh`: also where its breaker is open, or it asked for a pause.
    """
    try:
        if afresh and waits_s:
            schedule.resume(list(waits_s))
        schedule.due(waits_s)
    except ScheduleUnavailable as error:
        logger.warning(log.line("webhook.not_scheduled", webhook_ids=sorted(waits_s), reason=repr(str(error))))
