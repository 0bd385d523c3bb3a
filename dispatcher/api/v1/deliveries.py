"""Deliveries of an account, to whichever webhook: listed, shown with every attempt, and redelivered."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.deliveries import FILTERS
from dispatcher.api.http import container, json_response
from dispatcher.api.query import described, parameter, requested, row_id
from dispatcher.api.v1 import paging
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import sees_personal, service
from dispatcher.api.v1.idempotency import PARAMETER, idempotent
from dispatcher.errors import EventNotFound
from dispatcher.replays import waiting
from dispatcher.replays.one import replay, retry_now
from dispatcher.representations import delivery_details_json, delivery_json, without_personal
from dispatcher.schemas.api.delivery import DeliverySchema, DeliveryWithAttemptsSchema
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.reads import delivery_pages, events
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.reads.delivery_pages import Page

blueprint = Blueprint("v1_deliveries", __name__, description="Deliveries of an account, with their attempts.")

_ALL = "/accounts/<external_id>/deliveries"
_OF_EVENT = {
    "in": "query",
    "name": "event_id",
    "schema": {"type": "integer", "minimum": 0},
    "description": "Only deliveries of this event.",
}
_EVENT_LIMIT = 10_000
"""Deliveries of one event that a list goes through."""


@blueprint.route(_ALL)
@service("deliveries:read")
@blueprint.doc(parameters=[*described(FILTERS), _OF_EVENT, *paging.PARAMETERS])
@blueprint.response(200, paging.list_of(DeliverySchema))
def list_(_token: ServiceToken, external_id: str) -> Response:
    """Deliveries, newest first."""
    tenant, bounds = tenant_of(external_id), paging.newest_first() | {"limit": paging.shown()}
    narrowed, event_id = requested(FILTERS), parameter("event_id", row_id)

    def read(connection: Connection) -> Page:
        of_event: dict[str, Any] = {} if event_id is None else {"ids": _ids(connection, tenant.id, event_id)}
        return delivery_pages.page(connection, tenant.slug, **bounds, **narrowed, **of_event)

    page = container().storage.transact(read)
    return paging.answer([delivery_json(one, "UTC") for one in page.deliveries], page.before)


@blueprint.route(f"{_ALL}/<delivery>")
@service("deliveries:read")
@blueprint.response(200, DeliveryWithAttemptsSchema)
def show(token: ServiceToken, external_id: str, delivery: str) -> Response:
    """One delivery, by its id or its Idempotency-Key, with its attempts, newest first, and why it waits if pending.

    Without the scope `personal`, `***` stands in place of personal fields, and of responses, which may repeat them.
    """
    parts, tenant = container(), tenant_of(external_id)
    row = waiting.find(parts.storage, parts.schedule, parts.settings, delivery, account_id=tenant.id)
    return json_response(_details(token, row))


@blueprint.route(f"{_ALL}/<delivery>/redeliver", methods=["POST"])
@service("deliveries")
@blueprint.doc(parameters=[PARAMETER])
@blueprint.response(202, DeliveryWithAttemptsSchema)
@idempotent
def redeliver(token: ServiceToken, storage: Storage, external_id: str, delivery: str) -> Response:
    """Sends it again with the same Idempotency-Key and a new series of attempts.

    422 where it is pending, or was redelivered as often as is allowed.
    """
    parts, tenant = container(), tenant_of(external_id, storage)
    limit = parts.settings.redelivery_limit
    redelivered = replay(storage, parts.schedule, delivery, limit=limit, account_id=tenant.id)
    return json_response(_details(token, redelivered), 202)


@blueprint.route(f"{_ALL}/<delivery>/retry", methods=["POST"])
@service("deliveries")
@blueprint.doc(parameters=[PARAMETER])
@blueprint.response(202, DeliveryWithAttemptsSchema)
@idempotent
def retry(token: ServiceToken, storage: Storage, external_id: str, delivery: str) -> Response:
    """Attempts a pending delivery now, also where its webhook's receiver is paused. The attempt counts.

    422 where it is finished, is being sent, is held back by order, or its webhook is not active.
    """
    parts, tenant = container(), tenant_of(external_id, storage)
    row = retry_now(storage, parts.schedule, parts.settings, delivery, account_id=tenant.id)
    return json_response(_details(token, row), 202)


def _details(token: ServiceToken, row: DeliveryRow) -> dict[str, Any]:
    return delivery_details_json(row if sees_personal(token) else without_personal(row), "UTC")


def _ids(connection: Connection, account_id: int, event_id: int) -> list[int]:
    try:
        event = events.find(connection, account_id, event_id)
    except EventNotFound:
        return []
    return [one.delivery_id for one in events.resulting_deliveries(connection, event.id, _EVENT_LIMIT)]
