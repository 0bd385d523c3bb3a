"""What a webhook's owner does with it beyond API v3: send a ping, show and rotate its signing secret."""

from flask import Response, request
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.http import ROW_ID, container, json_object, json_response, request_body
from dispatcher.representations import signing_secret_json
from dispatcher.schemas.api.delivery import PingSchema
from dispatcher.schemas.api.signing import RotationSchema, SigningSecretSchema
from dispatcher.webhooks import secrets

blueprint = Blueprint("webhook_actions", __name__, description="Testing a webhook, and its signing secret.")

_ping = PingSchema()
_PATH = f"/accounts/<slug>/webhooks/<{ROW_ID}:webhook_id>"


@blueprint.route(f"{_PATH}/ping.json", methods=["POST"])
@authorized("webhooks")
@blueprint.response(200, PingSchema)
def ping(caller: Caller, webhook_id: int) -> Response:
    """Sends a signed `ping` event with an empty body immediately, and answers with the receiver's response.

    It is no delivery: it is not retried and appears in no list. Inactive webhooks get it too.
    """
    return json_response(
        _ping.dump(container().pinger.ping(caller.account.slug, webhook_id, caller.client.id).for_clients())
    )


@blueprint.route(f"{_PATH}/secret/rotate.json", methods=["POST"])
@authorized("webhooks")
@blueprint.doc(requestBody=request_body(RotationSchema, required=False))
@blueprint.response(200, SigningSecretSchema)
def rotate(caller: Caller, webhook_id: int) -> Response:
    """A new signing secret. The previous one also signs for a day, or for `previous_valid_for_s` seconds."""
    options = json_object() if request.get_data() else None
    secret = secrets.rotate(container().storage, caller.account.id, webhook_id, options, client_id=caller.client.id)
    return json_response(signing_secret_json(secret, caller.account.time_zone))


@blueprint.route(f"{_PATH}/secret.json")
@authorized("webhooks")
@blueprint.response(200, SigningSecretSchema)
def show_secret(caller: Caller, webhook_id: int) -> Response:
    """The signing secret, for the receiver; until when the previous one also signs, or null."""
    secret = secrets.show(container().storage, caller.account.id, webhook_id, client_id=caller.client.id)
    return json_response(signing_secret_json(secret, caller.account.time_zone))
