"""Health checks and metrics for operators, without a token.

They show account slugs, so a proxy in front should not expose them.
"""

from collections.abc import Mapping
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.http import Answer, container, json_answer, json_response
from dispatcher.errors import PendingMigrations, ScheduleUnavailable, StorageUnavailable, UnknownRevision
from dispatcher.metrics.scrape import CONTENT_TYPE_LATEST, scrape
from dispatcher.storage import migrate

blueprint = Blueprint("health", __name__, description="Health and metrics for operators. No access token is required.")


_ALIVE = {"status": "ok"}
_QUICK = json_answer(200, _ALIVE)


@blueprint.route("/healthz")
@blueprint.response(200)
def healthz() -> Response:
    """200: this process responds. It checks nothing else: no process is restarted for a Postgres that is down."""
    return json_response(_ALIVE)


def quick_answer(environ: Mapping[str, Any]) -> Answer | None:
    """The same, from the event loop: a process whose threads are all busy is alive, and is not to be restarted.

    None for any other request.
    """
    if environ["PATH_INFO"] != "/healthz" or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    return _QUICK if environ["REQUEST_METHOD"] == "GET" else _QUICK._replace(text=b"")


@blueprint.route("/readyz")
@blueprint.response(200)
@blueprint.alt_response(503)
def readyz() -> Response:
    """200 where requests can be served and events are sent, else 503 with the problems."""
    problems = _problems()
    return json_response({"status": "unready" if problems else "ready", "problems": problems}, 503 if problems else 200)


@blueprint.route("/metrics")
@blueprint.response(200, content_type="text/plain")
def metrics() -> Response:
    """For Prometheus."""
    parts = container()
    window, breaker = parts.drain_policy.window, parts.drain_policy.breaker
    text = scrape(parts.storage, parts.schedule, parts.queue, parts.counters, window=window, breaker=breaker)
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def _problems() -> dict[str, str]:
    """Part → what is wrong with it; never a driver's own message, which may hold addresses and names."""
    problems: dict[str, str] = {}
    try:
        migrate.check(container().storage)
    except StorageUnavailable:
        problems["postgres"] = "is not responding"
    except PendingMigrations:
        problems["postgres"] = "has pending migrations; run: dispatcher migrate"
    except UnknownRevision:
        problems["postgres"] = "is at a revision that is none of the dispatcher's"
    try:
        if not container().schedule.workers.names():
            problems["workers"] = "no heartbeat within 30 s; no deliveries are sent"
    except ScheduleUnavailable:
        problems["redis"] = "is not responding"
    return problems
