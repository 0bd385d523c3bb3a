"""The first page: what is delivered, what waits, and which webhooks are in trouble; of an account, or of all.

Asked for again every few seconds: four queries of Postgres with that for the session, none of which grows with what
waits or with what was delivered, and one command of Redis.
"""

from typing import Any

from flask import Response, g
from werkzeug.exceptions import NotFound

from dispatcher import clock
from dispatcher.api.parts import container
from dispatcher.console import charts
from dispatcher.console.page import account, blueprint, go, page, person
from dispatcher.errors import ScheduleUnavailable
from dispatcher.storage.admin import accounts
from dispatcher.storage.reads import overview
from dispatcher.storage.stats import rollups

STALE_S = 30
"""Without a count for this long, no worker runs."""


@blueprint.route("/")
def home() -> Response:
    """All accounts for operators; everybody else's own."""
    if person().account is not None:
        return go("overview", slug=person().account.slug)  # type: ignore[union-attr]
    return page("overview.html", accounts=container().storage.read(accounts.list_all)[:500], **_figures(None))


@blueprint.route("/figures")
def all_figures() -> Response:
    """The part of `home` that changes."""
    if person().account is not None:
        raise NotFound
    return page("figures.html", **_figures(None))


@blueprint.route("/accounts/<slug>/", endpoint="overview")
def overview_() -> Response:
    """Of one account."""
    return page("overview.html", **_figures(account().id))


@blueprint.route("/accounts/<slug>/figures", endpoint="figures")
def figures_() -> Response:
    """The part of `overview` that changes."""
    return page("figures.html", **_figures(account().id))


def _figures(account_id: int | None) -> dict[str, Any]:
    storage = container().storage
    hour = storage.read(rollups.last_hour, account_id or rollups.ALL_ACCOUNTS)
    waiting = storage.read(overview.pending_summary, account_id)
    troubles = storage.read(overview.failing_webhooks, account_id)
    minutes = charts.all_minutes(hour.minutes, hour.until)
    whole = minutes[-16:-1]  # the last is not over yet
    delivered, failed = sum(one.delivered for one in whole), sum(one.failed for one in whole)
    return {
        "hour": hour,
        "minutes": minutes,
        "series": [
            [int(one.at.timestamp()) for one in minutes],
            [one.delivered for one in minutes],
            [one.retried for one in minutes],
            [one.failed for one in minutes],
        ],
        "per_minute": {
            "delivered": delivered / len(whole),
            "failed": failed / len(whole),
            "retried": sum(one.retried for one in whole) / len(whole),
        },
        "success": delivered / (delivered + failed) if delivered + failed else None,
        "waiting": waiting,
        "troubles": troubles,
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
