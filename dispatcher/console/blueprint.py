"""Registers the console in the application: its pages, its filters, and what its templates call."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, g

from dispatcher.console import (
    alerts,
    audit,
    catalogue,
    deliveries,
    error_pages,
    events,
    formatting,
    live,
    oidc,
    overview,
    portal,
    replays,
    search,
    session,
    time_zone,
    webhooks,
    workers,
)
from dispatcher.console.page import PORTAL, blueprint, csrf_token, flash_message, in_portal, to

__all__ = ["register"]

_PAGES = (
    session,
    oidc,
    portal,
    overview,
    webhooks,
    deliveries,
    events,
    replays,
    search,
    catalogue,
    audit,
    alerts,
    time_zone,
    live,
    workers,
    error_pages,
)
"""Importing them registers their routes."""
_STATIC = Path(__file__).parent / "static"


def register(app: Flask) -> None:
    """Serves the console at /console, and the portal at /portal."""
    formatting.register(app)
    app.register_blueprint(blueprint)
    app.register_blueprint(blueprint, name=PORTAL, url_prefix="/portal")
    app.jinja_env.globals |= {
        "to": to,
        "csrf_token": csrf_token,
        "zone": formatting.zone,
        "flash_message": flash_message,
        "asset": asset,
    }
    app.context_processor(_context)


def asset(name: str) -> str | None:
    """The path of a static file, with its hash, so that browsers may cache it; None where there is none."""
    digest = _digest(name)
    return digest and to("static", slug=None, filename=name, v=digest)


@cache
def _digest(name: str) -> str | None:
    path = _STATIC / name
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else None


def _context() -> dict[str, Any]:
    """What every template knows."""
    names = ("person", "account", "portal")
    return {name: g.get(name) for name in names} | {"in_portal": in_portal()}
