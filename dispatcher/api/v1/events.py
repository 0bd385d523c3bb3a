"""The event log of an account: what was emitted, and to which webhooks it went. `dispatcher.web` answers emits."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.http import container, json_response
from dispatcher.api.query import Filters, described, moment, one_of, requested
from dispatcher.api.v1 import paging
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import sees_personal, service
from dispatcher.representations import event_details_json, event_json, event_without_personal
from dispatcher.schemas import active
from dispatcher.schemas.api.event import EventSchema, EventWithDeliveriesSchema
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.engine import Connection
from dispatcher.storage.reads import events

blueprint = Blueprint("v1_events", __name__, description="The event log of an account, and emitting.")

_ALL = "/accounts/<external_id>/events"
_TIME = {"type": "string", "format": "date-time"}
_FILTERS: Filters = {
    "name": (lambda text: one_of(active().names)(text), {"type": "string"}, "Only events with this name."),
    "since": (moment, _TIME, "Only events recorded at or after this time."),
    "until": (moment, _TIME, "Only events recorded before this time."),
}


@blueprint.route(_ALL)
@service("events:read")
@blueprint.doc(parameters=[*described(_FILTERS), *paging.PARAMETERS])
@blueprint.response(200, paging.list_of(EventSchema))
def list_(_token: ServiceToken, external_id: str) -> Response:
    """What was emitted in the account, newest first, without the bodies."""
    some = container().storage.read(
        events.page, tenant_of(external_id).id, bodies=False, **paging.newest_first(), **requested(_FILTERS)
    )
    return paging.page(some, lambda one: event_json(one, "UTC"), lambda one: one.id)


@blueprint.route(f"{_ALL}/<int:event_id>")
@service("events:read")
@blueprint.response(200, EventWithDeliveriesSchema)
def show(token: ServiceToken, external_id: str, event_id: int) -> Response:
    """One event with its body, and the first 1,000 of its deliveries. Personal fields need the scope `personal`."""
    account_id = tenant_of(external_id).id

    def read(connection: Connection) -> dict[str, Any]:
        event = events.find(connection, account_id, min(event_id, 2**63 - 1))
        if not sees_personal(token):
            event = event_without_personal(event)
        return event_details_json(event, events.resulting_deliveries(connection, event.id), "UTC")

    return json_response(container().storage.transact(read))
