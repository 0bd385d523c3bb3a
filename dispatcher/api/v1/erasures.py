"""Erasures of an account: a person's payloads go, the records of their deliveries stay."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import ValidationError

from dispatcher.api.http import ROW_ID, container, json_object, json_response, request_body
from dispatcher.api.query import webhook_id
from dispatcher.api.v1 import paging
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import service
from dispatcher.errors import InvalidErasure
from dispatcher.pipeline.erasures import request, run
from dispatcher.representations import erasure_json
from dispatcher.schemas.api.erasure import ErasureSchema, NewErasureSchema
from dispatcher.schemas.errors import texts_by_field
from dispatcher.storage.admin import erasures
from dispatcher.storage.admin.service_tokens import ServiceToken

blueprint = Blueprint("v1_erasures", __name__, description="Erasures of persons' payloads.")

RUN_S = 5.0
"""How long a request erases before it is answered."""
_ALL = "/accounts/<external_id>/erasures"
_requested = NewErasureSchema()
_NOT_FINISHED: dict[str, Any] = {
    "202": {
        "description": "Not finished; workers go on, and so does the same request",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Erasure"}}},
    }
}


@blueprint.route(_ALL)
@service("erasures:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, paging.list_of(ErasureSchema))
def list_(_token: ServiceToken, external_id: str) -> Response:
    """Erasures, newest first, for as long as the account is there."""
    account_id = tenant_of(external_id).id
    some = container().storage.read(erasures.page, account_id, **paging.newest_first(webhook_id))
    return paging.page(some, erasure_json, lambda one: one.id)


@blueprint.route(_ALL, methods=["POST"])
@service("erasures")
@blueprint.doc(requestBody=request_body(NewErasureSchema), responses=_NOT_FINISHED)
@blueprint.response(200, ErasureSchema)
def create(_token: ServiceToken, external_id: str) -> Response:
    """Erases the payloads of a person's events, from all days: bodies, and the responses that receivers gave.

    What is pending of them is cancelled, and none can be replayed. Events that are emitted later are not erased: ask
    again. While an erasure of the person is not finished, the same request goes on with it.
    """
    parts, account_id = container(), tenant_of(external_id).id
    try:
        requested = _requested.load(json_object())
    except ValidationError as error:
        raise InvalidErasure(texts_by_field(error)) from None
    parts.event_types.refresh()
    pending = request(parts.storage, account_id, **requested)
    erasure = run(parts.storage, parts.settings.outboxes, pending, RUN_S)
    return json_response(erasure_json(erasure), 200 if erasure.finished_at else 202)


@blueprint.route(f"{_ALL}/<{ROW_ID}:erasure_id>")
@service("erasures:read")
@blueprint.response(200, ErasureSchema)
def show(_token: ServiceToken, external_id: str, erasure_id: int) -> Response:
    """One erasure."""
    return json_response(erasure_json(container().storage.read(erasures.find, tenant_of(external_id).id, erasure_id)))
