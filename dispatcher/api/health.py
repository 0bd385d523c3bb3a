"""For whoever looks after the service: does the process live, can it serve, and how much waits. Without a token.

They tell figures and account slugs, so a proxy in front should keep them inside.
"""

from collections.abc import Mapping
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.parts import Answer, answer, container, json_answer
from dispatcher.errors import PendingMigrations, ScheduleUnavailable, StorageUnavailable
from dispatcher.metrics.scrape import CONTENT_TYPE_LATEST, scrape
from dispatcher.storage import migrate

blueprint = Blueprint("health", __name__, description="Health and metrics for operators. No access token is required.")


_ALIVE = {"status": "ok"}
_QUICK = json_answer(200, _ALIVE)


@blueprint.route("/healthz")
@blueprint.response(200)
def healthz() -> Response:
    """200: this process answers. It asks nobody, so a Postgres that is down gets no process restarted."""
    return answer(_ALIVE)


def quick_answer(environ: Mapping[str, Any]) -> Answer | None:
    """The same, from the event loop: while all threads are busy a process lives, and shall not be restarted for it.

    None for any other request.
    """
    if environ["PATH_INFO"] != "/healthz" or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    return _QUICK if environ["REQUEST_METHOD"] == "GET" else _QUICK._replace(text=b"")


@blueprint.route("/readyz")
@blueprint.response(200)
@blueprint.alt_response(503)
def readyz() -> Response:
    """200 where requests can be served and events are sent, else 503 with what is wrong."""
    problems = _problems()
    return answer({"status": "unready" if problems else "ready", "problems": problems}, 503 if problems else 200)


@blueprint.route("/metrics")
@blueprint.response(200, content_type="text/plain")
def figures() -> Response:
    """For Prometheus."""
    parts = container()
    window, breaker = parts.drain_policy.window, parts.drain_policy.breaker
    text = scrape(parts.storage, parts.schedule, parts.queue, parts.counters, window=window, breaker=breaker)
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def _problems() -> dict[str, str]:
    """Part → what is wrong with it, in words of ours: a driver's own may hold addresses and names."""
    found: dict[str, str] = {}
    try:
        migrate.check(container().storage)
    except StorageUnavailable:
        found["postgres"] = "is not responding"
    except PendingMigrations:
        found["postgres"] = "has pending migrations; run: dispatcher migrate"
    try:
        if not container().schedule.workers():
            found["workers"] = "no heartbeat within 30 s; no deliveries are sent"
    except ScheduleUnavailable:
        found["redis"] = "is not responding"
    return found
