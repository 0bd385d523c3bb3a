"""Deliveries: one event for one webhook, with every attempt. A client sees those to its own webhooks."""

from urllib.parse import urlencode

from flask import Response, request
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.parts import container, json_response
from dispatcher.api.query import PAGE_SIZE, cursor, moment, one_of, parameter, uuid, webhook_id
from dispatcher.model.delivery import State
from dispatcher.replays.one import replay
from dispatcher.representations import delivery_details_json, delivery_json
from dispatcher.storage.reads import deliveries, delivery_pages
from dispatcher.storage.reads.delivery_pages import SCANS
from schemas import EVENT_TYPES
from schemas.api.delivery import DeliverySchema, DeliveryWithAttemptsSchema
from schemas.api.errors import FieldErrorsSchema

blueprint = Blueprint("deliveries", __name__, description="Deliveries of events, with their attempts.")

_STATES = [str(state) for state in State]
_ID = {
    "in": "path",
    "name": "delivery",
    "required": True,
    "schema": {"type": "string"},
    "description": "The id of a delivery, or its Idempotency-Key.",
}


def _query(name: str, description: str, **schema: object) -> dict[str, object]:
    return {"in": "query", "name": name, "schema": schema, "description": description}


_FILTERS = [
    _query("webhook_id", "Only this webhook's.", type="integer", minimum=0),
    _query(
        "event_name",
        f"Only deliveries of this event. A page searches about {sum(SCANS):,} deliveries, so it may be short or empty "
        "although older ones exist: follow `Link`.",
        type="string",
        enum=list(EVENT_TYPES),
    ),
    _query("state", "Only deliveries in this state.", type="string", enum=_STATES),
    _query("since", "Only deliveries created at or after this time.", type="string", format="date-time"),
    _query("until", "Only deliveries created before this time.", type="string", format="date-time"),
    _query("idempotency_key", "Only the delivery with this key.", type="string", format="uuid"),
    _query("before", "Only deliveries older than this one: the next page.", type="integer", minimum=0),
]
_LINK = {
    "description": "The next page, RFC 8288; absent from the last one.",
    "schema": {"type": "string"},
}


@blueprint.route("/accounts/<slug>/deliveries.json")
@authorized("deliveries")
@blueprint.doc(parameters=_FILTERS)
@blueprint.response(200, DeliverySchema(many=True), headers={"Link": _LINK})
def list_(caller: Caller) -> Response:
    """Newest first, 40 a page. While older ones may follow, `Link` names the next page: `<?before=...>; rel="next"`."""
    page = container().storage.transact(
        delivery_pages.page,
        caller.account.slug,
        client_id=caller.client.id,
        limit=PAGE_SIZE,
        webhook_id=parameter("webhook_id", webhook_id),
        event_name=parameter("event_name", one_of(EVENT_TYPES)),
        state=parameter("state", one_of(_STATES)),
        since=parameter("since", moment),
        until=parameter("until", moment),
        idempotency_key=parameter("idempotency_key", uuid),
        before=cursor(),
    )
    return json_response([delivery_json(one.for_clients()) for one in page.deliveries], headers=_link(page.before))


@blueprint.route("/accounts/<slug>/deliveries/<delivery>.json")
@authorized("deliveries")
@blueprint.doc(parameters=[_ID])
@blueprint.response(200, DeliveryWithAttemptsSchema)
def show(caller: Caller, delivery: str) -> Response:
    """One delivery with its attempts, newest first."""
    row = container().storage.transact(
        deliveries.delivery, delivery, account_id=caller.account.id, client_id=caller.client.id
    )
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
    own = container()
    limit, whose = own.settings.redelivery_limit, {"account_id": caller.account.id, "client_id": caller.client.id}
    redelivered = replay(own.storage, own.schedule, delivery, limit=limit, **whose)
    return json_response(delivery_details_json(redelivered.for_clients()), 202)


def _link(before: int | None) -> dict[str, str]:
    """The next page, as a reference relative to this one: whatever the address is by which a proxy is reached."""
    if before is None:
        return {}
    query = request.args.to_dict() | {"before": str(before)}
    return {"Link": f'<?{urlencode(query)}>; rel="next"'}
