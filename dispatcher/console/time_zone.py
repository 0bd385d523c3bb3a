"""The viewer's time zone, in which every time of the console is shown: a cookie, at first that of their browser."""

from functools import cache
from zoneinfo import available_timezones

from flask import Response, request

from dispatcher.console.formatting import OF_ACCOUNT, ZONE_COOKIE, known_zone
from dispatcher.console.page import blueprint, page, redirect_to, set_cookie

_YEAR_S = 365 * 86_400


@blueprint.route("/time-zone")
def time_zone() -> Response:
    """The form."""
    return page("time_zone.html", chosen=request.cookies.get(ZONE_COOKIE, OF_ACCOUNT), zones=_zones())


@blueprint.route("/time-zone", methods=["POST"], endpoint="set_time_zone")
def choose() -> Response:
    """Keeps it for a year."""
    chosen = request.form.get("zone", "")
    response = redirect_to("time_zone", "zone_set")
    set_cookie(response, ZONE_COOKIE, chosen if known_zone(chosen) else OF_ACCOUNT, max_age=_YEAR_S)
    return response


@cache
def _zones() -> list[str]:
    """For people: places, and UTC."""
    return ["UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))]
