"""Webhooks: list, show, create, change, delete (API v3, Webhooks), ping, and their signing secrets.

A client sees its own and no others. The attributes beyond API v3 are accepted on every write, and returned with
`?include=extras`.
"""

from typing import Any

from flask import Response, request, url_for
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.http import ROW_ID, container, json_object, json_response, no_content, public_url, request_body
from dispatcher.api.query import PAGE_PARAMETER, TAG_PARAMETER, one_of, page_bounds, parameter, tag
from dispatcher.model.webhook import Webhook
from dispatcher.representations import signing_secret_json
from dispatcher.schemas import active
from dispatcher.schemas.api.delivery import PingRequestSchema, PingSchema
from dispatcher.schemas.api.signing import RotationSchema, SigningSecretSchema
from dispatcher.schemas.api.webhook import WebhookChangesSchema, WebhookSchema, WebhookWithExtrasSchema
from dispatcher.schemas.wire.fields import written_in
from dispatcher.storage.admin import webhooks
from dispatcher.webhooks import secrets
from dispatcher.webhooks.edit import create_webhook, delete_webhook, edit_webhook

blueprint = Blueprint("webhooks", __name__, description="Webhooks and their subscriptions.")

_plain, _with_extras, _ping = WebhookSchema(), WebhookWithExtrasSchema(), PingSchema()

_INCLUDE = {
    "in": "query",
    "name": "include",
    "schema": {"type": "string", "enum": ["extras"]},
    "description": "`extras` adds the attributes beyond API v3, those after `updated_at`.",
}
_BODY, _CHANGES = request_body(WebhookWithExtrasSchema), request_body(WebhookChangesSchema(partial=True))
_ONE = f"/accounts/<slug>/webhooks/<{ROW_ID}:webhook_id>"


@blueprint.route("/accounts/<slug>/webhooks.json")
@authorized("webhooks")
@blueprint.doc(parameters=[PAGE_PARAMETER, _INCLUDE, TAG_PARAMETER])
@blueprint.response(200, WebhookWithExtrasSchema(many=True))
def list_(caller: Caller) -> Response:
    """The client's webhooks, oldest first; 40 a page, an empty page past the end."""
    schema, bounds, storage = _schema(), page_bounds(), container().storage
    which: dict[str, Any] = {"client_id": caller.client.id, "tag": parameter("tag", tag), **bounds}
    page = storage.read(webhooks.list_for_account, storage.secrets, caller.account.id, **which)
    return json_response([_json(one, caller, schema) for one in page])


@blueprint.route(f"{_ONE}.json")
@authorized("webhooks")
@blueprint.doc(parameters=[_INCLUDE])
@blueprint.response(200, WebhookWithExtrasSchema)
def show(caller: Caller, webhook_id: int) -> Response:
    """One webhook."""
    schema, storage = _schema(), container().storage
    webhook = storage.read(webhooks.find, storage.secrets, caller.account.id, webhook_id, client_id=caller.client.id)
    return json_response(_json(webhook, caller, schema))


@blueprint.route("/accounts/<slug>/webhooks.json", methods=["POST"])
@authorized("webhooks")
@blueprint.doc(parameters=[_INCLUDE], requestBody=_BODY)
@blueprint.response(201, WebhookWithExtrasSchema, headers={"Location": {"schema": {"type": "string"}}})
def create(caller: Caller) -> Response:
    """A new webhook; `Location` is its `url`."""
    schema, requested, parts = _schema(), json_object(), container()
    created = create_webhook(
        parts.storage, caller.account.slug, requested, client_id=caller.client.id, settings=parts.settings
    )
    attributes = _json(created, caller, schema)
    return json_response(attributes, 201, {"Location": attributes["url"]})


@blueprint.route(f"{_ONE}.json", methods=["PATCH"])
@authorized("webhooks")
@blueprint.doc(parameters=[_INCLUDE], requestBody=_CHANGES)
@blueprint.response(200, WebhookWithExtrasSchema)
def edit(caller: Caller, webhook_id: int) -> Response:
    """Changes the given attributes and no others."""
    schema, changes, parts = _schema(), json_object(), container()
    edited = edit_webhook(
        parts.storage, parts.schedule, caller.account.slug, webhook_id, changes,
        client_id=caller.client.id, settings=parts.settings,
    )  # fmt: skip
    return json_response(_json(edited, caller, schema))


@blueprint.route(f"{_ONE}.json", methods=["DELETE"])
@authorized("webhooks")
@blueprint.response(204)
def delete(caller: Caller, webhook_id: int) -> Response:
    """Deletes the webhook; its pending deliveries are cancelled."""
    delete_webhook(container().storage, caller.account.slug, webhook_id, client_id=caller.client.id)
    return no_content()


@blueprint.route(f"{_ONE}/ping.json", methods=["POST"])
@authorized("webhooks")
@blueprint.doc(requestBody=request_body(PingRequestSchema, required=False))
@blueprint.response(200, PingSchema)
def ping(caller: Caller, webhook_id: int) -> Response:
    """Sends a signed `ping` event with an empty body immediately, and answers with the receiver's response.

    Or the example of an event, with the header `webhook-test: true`. It is no delivery: it is not retried and appears
    in no list. Inactive webhooks get it too.
    """
    requested = json_object() if request.get_data() else None
    pinged = container().pinger.ping(caller.account.slug, webhook_id, requested, client_id=caller.client.id)
    return json_response(_ping.dump(pinged.for_clients()))


@blueprint.route(f"{_ONE}/secret/rotate.json", methods=["POST"])
@authorized("webhooks")
@blueprint.doc(requestBody=request_body(RotationSchema, required=False))
@blueprint.response(200, SigningSecretSchema)
def rotate_secret(caller: Caller, webhook_id: int) -> Response:
    """A new signing secret. The previous one also signs for a day, or for `previous_valid_for_s` seconds."""
    options = json_object() if request.get_data() else None
    secret = secrets.rotate(container().storage, caller.account.id, webhook_id, options, client_id=caller.client.id)
    return json_response(signing_secret_json(secret, caller.account.time_zone))


@blueprint.route(f"{_ONE}/secret.json")
@authorized("webhooks")
@blueprint.response(200, SigningSecretSchema)
def show_secret(caller: Caller, webhook_id: int) -> Response:
    """The signing secret, for the receiver; until when the previous one also signs, or null."""
    secret = secrets.show(container().storage, caller.account.id, webhook_id, client_id=caller.client.id)
    return json_response(signing_secret_json(secret, caller.account.time_zone))


def _schema() -> WebhookSchema:
    """The documented attributes, or all of them; raises ApiError (400) for another `include`."""
    return _with_extras if parameter("include", one_of(["extras"])) else _plain


def _json(webhook: Webhook, caller: Caller, schema: WebhookSchema) -> dict[str, Any]:
    attributes = {name: getattr(webhook, name) for name in schema.fields if name != "url"}
    attributes |= {"url": _url(webhook), "events": active().subscribed(webhook.events)}  # no wildcards in API v3
    with written_in(caller.account.time_zone):
        return dict(schema.dump(attributes))


def _url(webhook: Webhook) -> str:
    return public_url() + url_for("webhooks.show", slug=webhook.account_slug, webhook_id=webhook.id)
