"""Filters, tried out before they are saved."""

from dataclasses import asdict

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.http import container, json_object, json_response, request_body
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import service
from dispatcher.schemas.api.webhook import FilterPreviewSchema
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.webhooks.preview import preview

blueprint = Blueprint("v1_filters", __name__, description="Filters of webhooks.")


@blueprint.route("/accounts/<external_id>/filter_preview", methods=["POST"])
@service("webhooks")
@blueprint.doc(requestBody=request_body(FilterPreviewSchema))
@blueprint.response(200, FilterPreviewSchema)
def try_out(_token: ServiceToken, external_id: str) -> Response:
    """How many of the account's last 200 events with these names the filter would have matched."""
    return json_response(asdict(preview(container().storage, tenant_of(external_id).id, json_object())))
