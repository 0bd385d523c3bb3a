"""Registers the console in the application: its pages, its filters, and what its templates call."""

import hashlib
from functools import cache
from pathlib import Path

from flask import Flask, g, url_for

from dispatcher.console import (
    audit,
    deliveries,
    error_pages,
    events,
    formatting,
    overview,
    replays,
    session,
    webhooks,
)
from dispatcher.console.page import blueprint, csrf_token, flash_message, to

__all__ = ["register"]

_PAGES = (session, overview, webhooks, deliveries, events, replays, audit, error_pages)
"""Importing them registers their routes."""
_STATIC = Path(__file__).parent / "static"


def register(app: Flask) -> None:
    """Serves the console at /console."""
    formatting.register(app)
    app.register_blueprint(blueprint)
    app.jinja_env.globals |= {"to": to, "csrf_token": csrf_token, "flash_message": flash_message, "asset": asset}
    app.context_processor(lambda: {"person": g.get("person"), "account": g.get("account")})


@cache
def asset(name: str) -> str | None:
    """The path of a static file, with its hash, so that browsers may cache it; None where there is none."""
    path = _STATIC / name
    if not path.is_file():
        return None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return url_for("console.static", filename=name, v=digest)
