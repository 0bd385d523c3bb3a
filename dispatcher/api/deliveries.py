"""Deliveries: one event for one webhook, with every attempt. A client sees those to its own webhooks.

Those of one webhook that failed are also listed as API v3 has them (Webhooks, Failed deliveries).
"""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Response, request
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.errors import not_found
from dispatcher.api.http import container, json_response
from dispatcher.api.query import (
    PAGE_PARAMETER,
    PAGE_SIZE,
    Filters,
    described,
    moment,
    one_of,
    page_bounds,
    parameter,
    requested,
    row_id,
    uuid,
    webhook_id,
)
from dispatcher.model.delivery import State
from dispatcher.replays import waiting
from dispatcher.replays.one import replay, retry_now
from dispatcher.representations import delivery_details_json, delivery_json, failed_delivery_json
from dispatcher.schemas import active
from dispatcher.schemas.api.delivery import DeliverySchema, DeliveryWithAttemptsSchema
from dispatcher.schemas.api.errors import FieldErrorsSchema
from dispatcher.schemas.api.failed_delivery import FailedDeliverySchema
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Connection
from dispatcher.storage.reads import deliveries, delivery_pages
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.reads.delivery_pages import SCANS

blueprint = Blueprint("deliveries", __name__, description="Deliveries of events, with their attempts.")

_STATES = [str(state) for state in State]
_ID = {
    "in": "path",
    "name": "delivery",
    "required": True,
    "schema": {"type": "string"},
    "description": "The id of a delivery, or its Idempotency-Key.",
}


_NUMBER, _TIME = {"type": "integer", "minimum": 0}, {"type": "string", "format": "date-time"}
FILTERS: Filters = {
    "webhook_id": (webhook_id, _NUMBER, "Only this webhook's."),
    "event_name": (
        lambda text: one_of(active().events)(text),
        {"type": "string"},
        f"Only deliveries of this event. A page searches about {sum(SCANS):,} deliveries, so it may be short or empty "
        "although older ones exist: follow `Link`.",
    ),
    "state": (one_of(_STATES), {"type": "string", "enum": _STATES}, "Only deliveries in this state."),
    "since": (moment, _TIME, "Only deliveries created at or after this time."),
    "until": (moment, _TIME, "Only deliveries created before this time."),
    "idempotency_key": (uuid, {"type": "string", "format": "uuid"}, "Only the delivery with this key."),
}
_BEFORE = {
    "in": "query",
    "name": "before",
    "schema": _NUMBER,
    "description": "Only deliveries older than this one: the next page.",
}
_LINK = {
    "description": "The next page, RFC 8288; absent from the last one.",
    "schema": {"type": "string"},
}


@blueprint.route("/accounts/<slug>/deliveries.json")
@authorized("deliveries")
@blueprint.doc(parameters=[*described(FILTERS), _BEFORE])
@blueprint.response(200, DeliverySchema(many=True), headers={"Link": _LINK})
def list_(caller: Caller) -> Response:
    """Newest first, 40 a page. While older ones may follow, `Link` names the next page: `<?before=...>; rel="next"`."""
    whose: dict[str, Any] = {"client_id": caller.client.id, "before": parameter("before", row_id)}
    page = container().storage.transact(
        delivery_pages.page, caller.account.slug, limit=PAGE_SIZE, **whose, **requested(FILTERS)
    )
    return json_response([delivery_json(one.for_clients()) for one in page.deliveries], headers=_link(page.before))


@blueprint.route("/accounts/<slug>/deliveries/<delivery>.json")
@authorized("deliveries")
@blueprint.doc(parameters=[_ID])
@blueprint.response(200, DeliveryWithAttemptsSchema)
def show(caller: Caller, delivery: str) -> Response:
    """One delivery with its attempts, newest first, and why it waits while it is pending."""
    parts = container()
    whose = {"account_id": caller.account.id, "client_id": caller.client.id}
    row = waiting.find(parts.storage, parts.schedule, parts.settings, delivery, **whose)
    return json_response(delivery_details_json(row.for_clients()))


@blueprint.route("/accounts/<slug>/deliveries/<delivery>/redeliver.json", methods=["POST"])
@authorized("deliveries")
@blueprint.doc(parameters=[_ID])
@blueprint.response(202, DeliveryWithAttemptsSchema)
@blueprint.alt_response(422, schema=FieldErrorsSchema, description="Unprocessable Content")
def redeliver(caller: Caller, delivery: str) -> Response:
    """Sends it again with the same Idempotency-Key and a new series of attempts.

    422 where it is pending, or was redelivered as often as is allowed.
    """
    parts = container()
    limit, whose = parts.settings.redelivery_limit, {"account_id": caller.account.id, "client_id": caller.client.id}
    redelivered = replay(parts.storage, parts.schedule, delivery, limit=limit, **whose)
    return json_response(delivery_details_json(redelivered.for_clients()), 202)


@blueprint.route("/accounts/<slug>/deliveries/<delivery>/retry.json", methods=["POST"])
@authorized("deliveries")
@blueprint.doc(parameters=[_ID])
@blueprint.response(202, DeliveryWithAttemptsSchema)
@blueprint.alt_response(422, schema=FieldErrorsSchema, description="Unprocessable Content")
def retry(caller: Caller, delivery: str) -> Response:
    """Attempts a pending delivery now, also where its webhook's receiver is paused. The attempt counts.

    422 where it is finished, is being sent, is held back by order, or its webhook is not active.
    """
    parts = container()
    whose = {"account_id": caller.account.id, "client_id": caller.client.id}
    row = retry_now(parts.storage, parts.schedule, parts.settings, delivery, **whose)
    return json_response(delivery_details_json(row.for_clients()), 202)


@blueprint.route("/accounts/<slug>/webhooks/<uuid:failed_deliveries_uuid>/failed_deliveries.json")
@authorized("webhooks")
@blueprint.doc(parameters=[PAGE_PARAMETER])
@blueprint.response(200, FailedDeliverySchema(many=True))
def list_failed(caller: Caller, failed_deliveries_uuid: UUID) -> Response:
    """Newest first, 40 a page. The webhook is named by its `failed_deliveries_uuid`, not by its id."""
    bounds = page_bounds()

    def read(connection: Connection) -> list[DeliveryRow]:
        webhook_id = webhooks.id_by_uuid(connection, caller.account.id, caller.client.id, failed_deliveries_uuid)
        if webhook_id is None:
            raise not_found()
        return deliveries.failed_deliveries(connection, webhook_id, **bounds)

    return json_response([failed_delivery_json(one.for_clients()) for one in container().storage.transact(read)])


def _link(before: int | None) -> dict[str, str]:
    """The next page, as a reference relative to this one: whatever the address is by which a proxy is reached."""
    if before is None:
        return {}
    query = request.args.to_dict() | {"before": str(before)}
    return {"Link": f'<?{urlencode(query)}>; rel="next"'}
