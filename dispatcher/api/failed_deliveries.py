"""Failed deliveries: those of one webhook whose every attempt failed (API v3, Webhooks, Failed deliveries)."""

from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.errors import not_found
from dispatcher.api.http import container, json_response
from dispatcher.api.query import PAGE_PARAMETER, page_bounds
from dispatcher.representations import failed_delivery_json
from dispatcher.schemas.api.failed_delivery import FailedDeliverySchema
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Connection
from dispatcher.storage.reads import deliveries
from dispatcher.storage.reads.deliveries import DeliveryRow

blueprint = Blueprint("failed_deliveries", __name__, description="Deliveries that failed, with their attempts.")


@blueprint.route("/accounts/<slug>/webhooks/<uuid:failed_deliveries_uuid>/failed_deliveries.json")
@authorized("webhooks")
@blueprint.doc(parameters=[PAGE_PARAMETER])
@blueprint.response(200, FailedDeliverySchema(many=True))
def list_(caller: Caller, failed_deliveries_uuid: UUID) -> Response:
    """Newest first, 40 a page. The webhook is named by its `failed_deliveries_uuid`, not by its id."""
    bounds = page_bounds()

    def read(connection: Connection) -> list[DeliveryRow]:
        webhook_id = webhooks.id_by_uuid(connection, caller.account.id, caller.client.id, failed_deliveries_uuid)
        if webhook_id is None:
            raise not_found()
        return deliveries.failed_deliveries(connection, webhook_id, **bounds)

    return json_response([failed_delivery_json(one.for_clients()) for one in container().storage.transact(read)])
