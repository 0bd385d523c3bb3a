"""What a webhook's owner does with it beyond API v3: try it out, and look after its signing secret."""

from flask import Response, request
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.parts import ROW_ID, answer, container, json_object
from dispatcher.representations.signing_secret import shown_signing_secret
from dispatcher.webhooks import secrets
from schemas.api.delivery import PingSchema
from schemas.api.errors import FieldErrorsSchema
from schemas.api.signing import RotationSchema, SigningSecretSchema

blueprint = Blueprint("webhook_actions", __name__, description="Testing a webhook, and its signing secret.")

_ping = PingSchema()
_PATH = f"/accounts/<slug>/webhooks/<{ROW_ID}:webhook_id>"
_ROTATION = {"content": {"application/json": {"schema": RotationSchema}}, "required": False}


@blueprint.route(f"{_PATH}/ping.json", methods=["POST"])
@authorized("webhooks")
@blueprint.response(200, PingSchema)
def ping(caller: Caller, webhook_id: int) -> Response:
    """Sends a signed `ping` event with an empty body at once, and answers with what came back.

    It is no delivery: it is not retried and stands in no list. Also sent to a webhook that is not active.
    """
    return answer(_ping.dump(container().pinger.ping(caller.account.slug, webhook_id, caller.client.id).for_clients()))


@blueprint.route(f"{_PATH}/secret/rotate.json", methods=["POST"])
@authorized("webhooks")
@blueprint.doc(requestBody=_ROTATION)
@blueprint.response(200, SigningSecretSchema)
@blueprint.alt_response(422, schema=FieldErrorsSchema, description="Unprocessable Content")
def rotate(caller: Caller, webhook_id: int) -> Response:
    """A new signing secret. The old one signs too for a day, or for `previous_valid_for_s` seconds."""
    given = json_object() if request.get_data() else None
    secret = secrets.rotate(container().storage, caller.account.id, webhook_id, given, client_id=caller.client.id)
    return answer(shown_signing_secret(secret, caller.account.time_zone))


@blueprint.route(f"{_PATH}/secret.json")
@authorized("webhooks")
@blueprint.response(200, SigningSecretSchema)
def secret(caller: Caller, webhook_id: int) -> Response:
    """The signing secret, for the receiver; until when the one before it signs too, or null."""
    found = secrets.show(container().storage, caller.account.id, webhook_id, client_id=caller.client.id)
    return answer(shown_signing_secret(found, caller.account.time_zone))
