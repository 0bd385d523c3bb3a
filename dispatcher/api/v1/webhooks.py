"""Webhooks of an account, whoever created them: list, create, show, change, delete, ping, and their signing secrets."""

from typing import Any

from flask import Response, request
from flask_smorest import Blueprint

from dispatcher.api.http import ROW_ID, container, json_object, json_response, no_content, request_body
from dispatcher.api.query import TAG_PARAMETER, parameter, tag
from dispatcher.api.v1 import paging
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import service
from dispatcher.api.v1.idempotency import PARAMETER, idempotent
from dispatcher.api.v1.problems import PREFIX
from dispatcher.model.webhook import Webhook
from dispatcher.representations import signing_secret_json
from dispatcher.schemas.api.delivery import PingRequestSchema, PingSchema
from dispatcher.schemas.api.signing import RotationSchema, SigningSecretSchema
from dispatcher.schemas.api.tenant import NewTenantWebhookSchema, TenantWebhookChangesSchema, TenantWebhookSchema
from dispatcher.schemas.wire.fields import written_in
from dispatcher.storage.admin import webhooks
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.engine import Storage
from dispatcher.webhooks import secrets
from dispatcher.webhooks.edit import create_webhook, delete_webhook, edit_webhook

blueprint = Blueprint("v1_webhooks", __name__, description="Webhooks of an account.")

_webhook, _ping = TenantWebhookSchema(), PingSchema()
_ALL = "/accounts/<external_id>/webhooks"
_ONE = f"{_ALL}/<{ROW_ID}:webhook_id>"


@blueprint.route(_ALL)
@service("webhooks:read")
@blueprint.doc(parameters=[*paging.PARAMETERS, TAG_PARAMETER])
@blueprint.response(200, paging.list_of(TenantWebhookSchema))
def list_(_token: ServiceToken, external_id: str) -> Response:
    """The account's webhooks, oldest first."""
    storage, account_id = container().storage, tenant_of(external_id).id
    which: dict[str, Any] = {"tag": parameter("tag", tag), **paging.bounds()}
    some = storage.read(webhooks.list_for_account, storage.secrets, account_id, **which)
    return paging.page(some, _json, lambda one: one.id)


@blueprint.route(_ALL, methods=["POST"])
@service("webhooks")
@blueprint.doc(parameters=[PARAMETER], requestBody=request_body(TenantWebhookSchema))
@blueprint.response(201, NewTenantWebhookSchema, headers={"Location": {"schema": {"type": "string"}}})
@idempotent
def create(_token: ServiceToken, storage: Storage, external_id: str) -> Response:
    """Creates a webhook, and answers with its signing secret."""
    slug = tenant_of(external_id, storage).slug
    created = create_webhook(storage, slug, json_object(), settings=container().settings)
    location = f"{PREFIX}/accounts/{external_id}/webhooks/{created.id}"
    return json_response({**_json(created), "signing_secret": created.signing_secret}, 201, {"Location": location})


@blueprint.route(_ONE)
@service("webhooks:read")
@blueprint.response(200, TenantWebhookSchema)
def show(_token: ServiceToken, external_id: str, webhook_id: int) -> Response:
    """One webhook."""
    storage = container().storage
    return json_response(_json(storage.read(webhooks.find, storage.secrets, tenant_of(external_id).id, webhook_id)))


@blueprint.route(_ONE, methods=["PATCH"])
@service("webhooks")
@blueprint.doc(requestBody=request_body(TenantWebhookChangesSchema(partial=True)))
@blueprint.response(200, TenantWebhookSchema)
def edit(_token: ServiceToken, external_id: str, webhook_id: int) -> Response:
    """Changes the given attributes."""
    slug, parts = tenant_of(external_id).slug, container()
    edited = edit_webhook(parts.storage, parts.schedule, slug, webhook_id, json_object(), settings=parts.settings)
    return json_response(_json(edited))


@blueprint.route(_ONE, methods=["DELETE"])
@service("webhooks")
@blueprint.response(204)
def delete(_token: ServiceToken, external_id: str, webhook_id: int) -> Response:
    """Deletes the webhook; its pending deliveries are cancelled."""
    delete_webhook(container().storage, tenant_of(external_id).slug, webhook_id)
    return no_content()


@blueprint.route(f"{_ONE}/ping", methods=["POST"])
@service("webhooks")
@blueprint.doc(requestBody=request_body(PingRequestSchema, required=False))
@blueprint.response(200, PingSchema)
def ping(_token: ServiceToken, external_id: str, webhook_id: int) -> Response:
    """Sends a signed `ping`, or an event's example, which is no delivery, and answers with the receiver's response."""
    requested = json_object() if request.get_data() else None
    return json_response(_ping.dump(container().pinger.ping(tenant_of(external_id).slug, webhook_id, requested)))


@blueprint.route(f"{_ONE}/secret")
@service("webhooks")
@blueprint.response(200, SigningSecretSchema)
def show_secret(_token: ServiceToken, external_id: str, webhook_id: int) -> Response:
    """The signing secret; until when the previous one also signs, or null."""
    secret = secrets.show(container().storage, tenant_of(external_id).id, webhook_id)
    return json_response(signing_secret_json(secret, "UTC"))


@blueprint.route(f"{_ONE}/secret/rotate", methods=["POST"])
@service("webhooks")
@blueprint.doc(parameters=[PARAMETER], requestBody=request_body(RotationSchema, required=False))
@blueprint.response(200, SigningSecretSchema)
@idempotent
def rotate_secret(_token: ServiceToken, storage: Storage, external_id: str, webhook_id: int) -> Response:
    """A new signing secret. The previous one also signs for a day, or for `previous_valid_for_s` seconds."""
    options = json_object() if request.get_data() else None
    secret = secrets.rotate(storage, tenant_of(external_id, storage).id, webhook_id, options)
    return json_response(signing_secret_json(secret, "UTC"))


def _json(webhook: Webhook) -> dict[str, Any]:
    with written_in("UTC"):
        return dict(_webhook.dump(webhook))
