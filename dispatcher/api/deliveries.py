"""Deliveries: one event for one webhook, with every attempt. A client sees those to its own webhooks."""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Response, request
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.paging import PAGE_SIZE, cursor, moment, number
from dispatcher.api.parts import answer, container
from dispatcher.errors import ApiError
from dispatcher.model.delivery import State
from dispatcher.replays.one import replay
from dispatcher.representations.delivery import shown, shown_with_attempts
from dispatcher.storage.reads import deliveries, delivery_pages
from dispatcher.storage.reads.delivery_pages import LOOKS
from schemas import EVENT_TYPES
from schemas.api.delivery import DeliverySchema, DeliveryWithAttemptsSchema
from schemas.api.errors import FieldErrorsSchema
from schemas.wire.choices import no_such_event, not_among

blueprint = Blueprint("deliveries", __name__, description="The deliveries of events, with their attempts.")

_FEW = 10
"""Words that are all told to who uses another."""
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
        f"Only deliveries of this event. A page searches about {sum(LOOKS):,} deliveries, so it may be short or empty "
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
    wanted: dict[str, Any] = {
        "webhook_id": number("webhook_id"),
        "event_name": _one_of("event_name", EVENT_TYPES),
        "state": _one_of("state", _STATES),
        "since": moment("since"),
        "until": moment("until"),
        "idempotency_key": _key(),
        "before": cursor(),
    }
    page = container().storage.transact(
        delivery_pages.page, caller.account.slug, client_id=caller.client.id, limit=PAGE_SIZE, **wanted
    )
    return answer([shown(one.for_clients()) for one in page.deliveries], headers=_link(page.before))


@blueprint.route("/accounts/<slug>/deliveries/<delivery>.json")
@authorized("deliveries")
@blueprint.doc(parameters=[_ID])
@blueprint.response(200, DeliveryWithAttemptsSchema)
def show(caller: Caller, delivery: str) -> Response:
    """One delivery with its attempts, newest first."""
    found = container().storage.transact(
        deliveries.delivery, delivery, account_id=caller.account.id, client_id=caller.client.id
    )
    return answer(shown_with_attempts(found.for_clients()))


@blueprint.route("/accounts/<slug>/deliveries/<delivery>/redeliver.json", methods=["POST"])
@authorized("deliveries")
@blueprint.doc(parameters=[_ID])
@blueprint.response(202, DeliveryWithAttemptsSchema)
@blueprint.alt_response(422, schema=FieldErrorsSchema, description="Unprocessable Content")
def redeliver(caller: Caller, delivery: str) -> Response:
    """Sends it once more: the same Idempotency-Key, its tries start anew.

    422 where it waits to be sent anyway, or was redelivered as often as is allowed.
    """
    parts = container()
    found = replay(
        parts.storage,
        parts.schedule,
        delivery,
        limit=parts.settings.redelivery_limit,
        account_id=caller.account.id,
        client_id=caller.client.id,
    )
    return answer(shown_with_attempts(found.for_clients()), 202)


def _link(before: int | None) -> dict[str, str]:
    """The next page, as a reference relative to this one: whatever the address is by which a proxy is reached."""
    if before is None:
        return {}
    query = request.args.to_dict() | {"before": str(before)}
    return {"Link": f'<?{urlencode(query)}>; rel="next"'}


def _one_of(name: str, choices: Collection[str]) -> str | None:
    """A word of the query, if given. Raises ApiError (400) unless it is one of `choices`."""
    word = request.args.get(name)
    if word is not None and word not in choices:
        said = not_among(word, choices) if len(choices) <= _FEW else no_such_event(word, choices)
        raise ApiError(400, "invalid_request", f"{name} {said}")
    return word


def _key() -> UUID | None:
    text = request.args.get("idempotency_key")
    try:
        return None if text is None else UUID(text)
    except ValueError:
        raise ApiError(400, "invalid_request", "idempotency_key must be a UUID") from None
