"""Workers and queues, for operators: which workers live and what they hold, and what waits for them."""

from typing import Any
from urllib.parse import quote

from flask import Response
from werkzeug.exceptions import NotFound

from dispatcher.api.http import container
from dispatcher.console.page import blueprint, page, person
from dispatcher.errors import QueueUnavailable, ScheduleUnavailable
from dispatcher.storage.reads import overview

_ABOUT = {
    "events": "Events to fan out",
    "deliveries": "Webhooks to deliver to",
    "deliveries.slow": "Webhooks whose receivers are slow",
}


@blueprint.route("/workers", endpoint="workers")
def show() -> Response:
    """The page."""
    return page("workers.html", **_details())


@blueprint.route("/workers/now", endpoint="workers_now")
def now() -> Response:
    """The part of it that changes."""
    return page("workers_now.html", **_details())


def _details() -> dict[str, Any]:
    if person().account is not None:
        raise NotFound
    parts, flower = container(), container().settings.flower_url.rstrip("/")
    try:
        survey, workers = parts.schedule.survey(), parts.schedule.workers.at_work()
    except ScheduleUnavailable:
        survey, workers = None, []
    try:
        lengths = parts.queue.lengths()
    except QueueUnavailable:
        lengths = None
    return {
        "survey": survey,
        "workers": workers,
        "lengths": lengths,
        "about": _ABOUT,
        "pending": parts.storage.read(overview.pending_summary, None),
        "flower": flower,
        "worker_urls": {one.name: f"{flower}/worker/{quote(one.name)}" for one in workers if flower},
    }
