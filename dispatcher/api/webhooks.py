"""Webhooks: list, show, create, change, delete (API v3, Webhooks). A client sees its own and no others.

What a webhook has beyond API v3 is accepted on every write, and shown where `?include=extras` asks for it.
"""

from typing import Any

from flask import Response, request, url_for
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.paging import PAGE_PARAMETER, PAGE_SIZE, page_offset
from dispatcher.api.parts import ROW_ID, answer, container, json_object, no_content, root
from dispatcher.errors import ApiError
from dispatcher.model.webhook import Webhook
from dispatcher.storage.admin import webhooks
from dispatcher.webhooks import edit as edit_webhook
from schemas.api.errors import ErrorSchema, FieldErrorsSchema
from schemas.api.webhook import WebhookChangesSchema, WebhookSchema, WebhookWithExtrasSchema
from schemas.wire.fields import written_in

blueprint = Blueprint("webhooks", __name__, description="Webhooks and their subscriptions.")

_plain, _with_extras = WebhookSchema(), WebhookWithExtrasSchema()

_INCLUDE = {
    "in": "query",
    "name": "include",
    "schema": {"type": "string", "enum": ["extras"]},
    "description": "`extras` adds the attributes beyond API v3, from `description` on.",
}
_BODY = {"content": {"application/json": {"schema": WebhookWithExtrasSchema}}, "required": True}
_CHANGES = {"content": {"application/json": {"schema": WebhookChangesSchema(partial=True)}}, "required": True}


@blueprint.route("/accounts/<slug>/webhooks.json")
@authorized("webhooks")
@blueprint.doc(parameters=[PAGE_PARAMETER, _INCLUDE])
@blueprint.response(200, WebhookWithExtrasSchema(many=True))
@blueprint.alt_response(400, schema=ErrorSchema)
def list_(caller: Caller) -> Response:
    """The client's webhooks, oldest first; 40 a page, an empty page past the end."""
    schema, offset = _schema(), page_offset()
    if offset is None:
        return answer([])
    storage = container().storage
    found = storage.read(
        webhooks.list_for_account,
        storage.secrets,
        caller.account.id,
        client_id=caller.client.id,
        offset=offset,
        limit=PAGE_SIZE,
    )
    return answer([_shown(one, caller, schema) for one in found])


@blueprint.route(f"/accounts/<slug>/webhooks/<{ROW_ID}:webhook_id>.json")
@authorized("webhooks")
@blueprint.doc(parameters=[_INCLUDE])
@blueprint.response(200, WebhookWithExtrasSchema)
@blueprint.alt_response(400, schema=ErrorSchema)
def show(caller: Caller, webhook_id: int) -> Response:
    """One webhook."""
    schema, storage = _schema(), container().storage
    found = storage.read(webhooks.find, storage.secrets, caller.account.id, webhook_id, client_id=caller.client.id)
    return answer(_shown(found, caller, schema))


@blueprint.route("/accounts/<slug>/webhooks.json", methods=["POST"])
@authorized("webhooks")
@blueprint.doc(parameters=[_INCLUDE], requestBody=_BODY)
@blueprint.response(201, WebhookWithExtrasSchema, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.alt_response(400, schema=ErrorSchema)
@blueprint.alt_response(413, schema=ErrorSchema)
@blueprint.alt_response(422, schema=FieldErrorsSchema, description="Unprocessable Content")
def create(caller: Caller) -> Response:
    """A new webhook; `Location` is its `url`."""
    schema, given = _schema(), json_object()
    made = edit_webhook.create_webhook(container().storage, caller.account.slug, given, client_id=caller.client.id)
    shown = _shown(made, caller, schema)
    return answer(shown, 201, {"Location": shown["url"]})


@blueprint.route(f"/accounts/<slug>/webhooks/<{ROW_ID}:webhook_id>.json", methods=["PATCH"])
@authorized("webhooks")
@blueprint.doc(parameters=[_INCLUDE], requestBody=_CHANGES)
@blueprint.response(200, WebhookWithExtrasSchema)
@blueprint.alt_response(400, schema=ErrorSchema)
@blueprint.alt_response(413, schema=ErrorSchema)
@blueprint.alt_response(422, schema=FieldErrorsSchema, description="Unprocessable Content")
def edit(caller: Caller, webhook_id: int) -> Response:
    """Changes the attributes that are given, and no others."""
    schema, changes, parts = _schema(), json_object(), container()
    changed = edit_webhook.edit_webhook(
        parts.storage, parts.schedule, caller.account.slug, webhook_id, changes, client_id=caller.client.id
    )
    return answer(_shown(changed, caller, schema))


@blueprint.route(f"/accounts/<slug>/webhooks/<{ROW_ID}:webhook_id>.json", methods=["DELETE"])
@authorized("webhooks")
@blueprint.response(204)
def delete(caller: Caller, webhook_id: int) -> Response:
    """Deletes the webhook; what waits for it is cancelled."""
    edit_webhook.delete_webhook(container().storage, caller.account.slug, webhook_id, client_id=caller.client.id)
    return no_content()


def _schema() -> WebhookSchema:
    """The documented attributes, or all of them; raises ApiError (400) for another `include`."""
    wanted = request.args.get("include")
    if wanted not in (None, "extras"):
        raise ApiError(400, "invalid_request", "include must be extras")
    return _with_extras if wanted else _plain


def _shown(webhook: Webhook, caller: Caller, schema: WebhookSchema) -> dict[str, Any]:
    attributes = {name: getattr(webhook, name) for name in schema.fields if name != "url"}
    with written_in(caller.account.time_zone):
        return dict(schema.dump(attributes | {"url": _url(webhook)}))


def _url(webhook: Webhook) -> str:
    """Where the webhook is found."""
    return root() + url_for("webhooks.show", slug=webhook.account_slug, webhook_id=webhook.id)
