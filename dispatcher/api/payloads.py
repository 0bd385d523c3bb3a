"""Payloads that were too large to be sent, by the URLs of their claim checks. No access token is required."""

from flask import Response, request
from flask_smorest import Blueprint

from dispatcher import clock
from dispatcher.access.rate_limit import PAYLOADS
from dispatcher.api.auth import too_many
from dispatcher.api.http import container
from dispatcher.claim_check import PATH
from dispatcher.errors import ApiError
from dispatcher.payload import content_type, render
from dispatcher.schemas.errors import DowngradeFailed
from dispatcher.storage.reads import payloads

blueprint = Blueprint("payloads", __name__, description="Payloads beyond a webhook's `payload_limit`.")

_SIGNED = [
    {"in": "query", "name": "expires", "required": True, "schema": {"type": "integer"}},
    {"in": "query", "name": "signature", "required": True, "schema": {"type": "string"}},
]


@blueprint.route(f"{PATH}/<int:delivery_id>")
@blueprint.doc(parameters=_SIGNED)
@blueprint.response(200)
@blueprint.alt_response(403)
@blueprint.alt_response(404)
@blueprint.alt_response(409)
@blueprint.alt_response(429)
def show(delivery_id: int) -> Response:
    """What the webhook would have been POSTed: as it is configured now, for as long as the event is kept."""
    expires, signature = request.args.get("expires", ""), request.args.get("signature", "")
    known = expires.isascii() and expires.isdigit() and len(expires) < 12
    if not known or not container().drain_policy.claim_checks.is_valid(
        delivery_id, int(expires), signature, clock.now().timestamp()
    ):
        raise ApiError(403, "forbidden", "The URL is invalid or has expired; redeliver to get another")
    allowance = container().access.limiter.spend(delivery_id, PAYLOADS)
    if allowance.exceeded:
        raise too_many(allowance)
    storage = container().storage
    claimed, target = storage.read(payloads.find, storage.secrets, delivery_id)
    try:
        body = render(claimed, target)
    except DowngradeFailed as error:
        raise ApiError(409, "conflict", str(error)) from error
    return Response(
        body,
        content_type=content_type(claimed.event_name, target.payload_version),
        headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"},
    )
