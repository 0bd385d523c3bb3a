"""The application: its blueprints, the checks before each request, and every error in API v3's words."""

import flask_smorest
from flask import Flask

from dispatcher.api import (
    accounts,
    auth,
    deliveries,
    errors,
    events,
    health,
    jwks,
    oauth,
    openapi,
    payloads,
    replays,
    webhooks,
)
from dispatcher.api.http import ROW_ID, RowId
from dispatcher.api.v1 import accounts as v1_accounts
from dispatcher.api.v1 import alert_channels as v1_alert_channels
from dispatcher.api.v1 import audit as v1_audit
from dispatcher.api.v1 import deliveries as v1_deliveries
from dispatcher.api.v1 import erasures as v1_erasures
from dispatcher.api.v1 import event_types as v1_event_types
from dispatcher.api.v1 import events as v1_events
from dispatcher.api.v1 import filters as v1_filters
from dispatcher.api.v1 import members as v1_members
from dispatcher.api.v1 import polls as v1_polls
from dispatcher.api.v1 import portal as v1_portal
from dispatcher.api.v1 import problems
from dispatcher.api.v1 import replays as v1_replays
from dispatcher.api.v1 import webhooks as v1_webhooks
from dispatcher.console.blueprint import register as register_console
from dispatcher.container import Container
from dispatcher.model.event import BODY_LIMIT
from dispatcher.schemas.api.errors import ErrorSchema


class Api(flask_smorest.Api):
    """flask-smorest, which documents errors as API v3 has them."""

    ERROR_SCHEMA = ErrorSchema


def create_app(container: Container) -> Flask:
    """The WSGI application over `own`. Connects to nothing."""
    app = Flask("dispatcher.api", static_folder=None)  # what is served by file is named one by one (openapi.py)
    app.config |= {
        "MAX_CONTENT_LENGTH": BODY_LIMIT,
        "PROVIDE_AUTOMATIC_OPTIONS": False,
        "API_TITLE": "Webhook dispatcher",
        "API_VERSION": "v3",
        "OPENAPI_VERSION": "3.1.0",
    }
    app.url_map.merge_slashes = False  # a path with an empty slug is not found, and no redirect to another
    app.url_map.converters[ROW_ID] = RowId
    app.extensions["dispatcher"] = container
    auth.register(app)
    api = Api(app)
    errors.register(app)  # in the place of flask-smorest's own
    openapi.prepare(app, api)
    for resource in (oauth, accounts, webhooks, events, deliveries, replays):
        api.register_blueprint(resource.blueprint, url_prefix=auth.PREFIX)
    for resource in (
        v1_accounts, v1_members, v1_webhooks, v1_filters, v1_event_types, v1_events, v1_deliveries, v1_polls,
        v1_replays, v1_erasures, v1_alert_channels, v1_audit, v1_portal,
    ):  # fmt: skip
        api.register_blueprint(resource.blueprint, url_prefix=problems.PREFIX)
    app.register_blueprint(oauth.pages, url_prefix=auth.PREFIX)
    api.register_blueprint(health.blueprint)
    api.register_blueprint(payloads.blueprint)
    api.register_blueprint(jwks.blueprint)
    app.register_blueprint(openapi.blueprint, url_prefix=auth.PREFIX)
    register_console(app)
    return app
