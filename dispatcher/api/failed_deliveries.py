"""Failed deliveries: those of one webhook whose every attempt failed (API v3, Webhooks, Failed deliveries)."""

from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.errors import not_found
from dispatcher.api.paging import PAGE_PARAMETER, PAGE_SIZE, page_offset
from dispatcher.api.parts import answer, container
from dispatcher.representations.delivery import in_api_words
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Connection
from dispatcher.storage.reads import deliveries
from dispatcher.storage.reads.deliveries import DeliveryRow
from schemas.api.errors import ErrorSchema
from schemas.api.failed_delivery import FailedDeliverySchema

blueprint = Blueprint("failed_deliveries", __name__, description="Deliveries that failed, with their attempts.")


@blueprint.route("/accounts/<slug>/webhooks/<uuid:failed_deliveries_uuid>/failed_deliveries.json")
@authorized("webhooks")
@blueprint.doc(parameters=[PAGE_PARAMETER])
@blueprint.response(200, FailedDeliverySchema(many=True))
@blueprint.alt_response(400, schema=ErrorSchema)
def list_(caller: Caller, failed_deliveries_uuid: UUID) -> Response:
    """Newest first, 40 a page. The webhook is named by its `failed_deliveries_uuid`, not by its id."""
    offset = page_offset()
    found = container().storage.transact(_page, caller, failed_deliveries_uuid, offset)
    return answer([in_api_words(one.for_clients()) for one in found])


def _page(connection: Connection, caller: Caller, uuid: UUID, offset: int | None) -> list[DeliveryRow]:
    webhook_id = webhooks.id_by_uuid(connection, caller.account.id, caller.client.id, uuid)
    if webhook_id is None:
        raise not_found()
    if offset is None:
        return []
    return deliveries.failed_deliveries(connection, webhook_id, offset=offset, limit=PAGE_SIZE)
