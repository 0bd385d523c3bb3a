"""The first page: what is delivered and pending, and which webhooks are unhealthy; of an account, or of all.

Polled every few seconds: four queries of Postgres with that for the session, none of which grows with the backlog or
the history, and one command of Redis.
"""

from typing import Any

from flask import Response, g
from werkzeug.exceptions import NotFound

from dispatcher import clock
from dispatcher.api.http import container
from dispatcher.console import charts
from dispatcher.console.page import account, blueprint, page, person, redirect_to
from dispatcher.errors import ScheduleUnavailable
from dispatcher.storage.admin import accounts
from dispatcher.storage.reads import overview
from dispatcher.storage.stats import rollups

_KINDS = ("delivered", "retried", "failed")
STALE_S = 30
"""Without a count for this many seconds, no worker runs."""


@blueprint.route("/")
def home() -> Response:
    """All accounts for operators; everybody else's own."""
    if (account := person().account) is not None:
        return redirect_to("overview", slug=account.slug)
    return page("overview.html", accounts=container().storage.read(accounts.list_all)[:500], **_stats(None))


@blueprint.route("/stats")
def all_stats() -> Response:
    """The part of `home` that changes."""
    if person().account is not None:
        raise NotFound
    return page("stats.html", **_stats(None))


@blueprint.route("/accounts/<slug>/", endpoint="overview")
def overview_() -> Response:
    """Of one account."""
    return page("overview.html", **_stats(account().id))


@blueprint.route("/accounts/<slug>/stats", endpoint="stats")
def stats_() -> Response:
    """The part of `overview` that changes."""
    return page("stats.html", **_stats(account().id))


def _stats(account_id: int | None) -> dict[str, Any]:
    storage = container().storage
    hour = storage.read(rollups.last_hour, account_id or rollups.ALL_ACCOUNTS)
    minutes = charts.all_minutes(hour.minutes, hour.until)
    whole = minutes[-16:-1]  # the last is not over yet
    totals = {name: sum(getattr(one, name) for one in whole) for name in _KINDS}
    pending = storage.read(overview.pending_summary, account_id)
    # What is retried for hours has not failed yet, and nothing of it is delivered: it counts against the rate.
    all_ = totals["delivered"] + totals["failed"] + pending.deliveries
    return {
        "hour": hour,
        "minutes": minutes,
        "series": [
            [int(one.at.timestamp()) for one in minutes],
            *([getattr(one, name) for one in minutes] for name in _KINDS),
        ],
        "per_minute": {name: total / len(whole) for name, total in totals.items()},
        "success": totals["delivered"] / all_ if all_ else None,
        "pending": pending,
        "unhealthy": storage.read(overview.failing_webhooks, account_id),
        "pauses": pauses(),
        "is_stale": (clock.now() - hour.until).total_seconds() > STALE_S,
        "slug": g.account.slug if g.account is not None else None,
    }


def pauses() -> dict[int, float]:
    """Webhook → seconds until its pause ends; empty where Redis is unavailable."""
    try:
        return container().schedule.pauses()
    except ScheduleUnavailable:
        return {}
