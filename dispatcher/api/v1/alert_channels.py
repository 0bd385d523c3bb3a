"""Channels of alerts: those of an account, and those of the operators."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.alerts import channels
from dispatcher.api.http import ROW_ID, container, json_object, json_response, no_content, request_body
from dispatcher.api.v1 import paging
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import service
from dispatcher.api.v1.idempotency import PARAMETER, idempotent
from dispatcher.model.alert import AlertChannel
from dispatcher.representations import alert_channel_json
from dispatcher.schemas.api.alert_channel import (
    AlertChannelChangesSchema,
    AlertChannelSchema,
    AlertTestSchema,
    NewAlertChannelSchema,
)
from dispatcher.storage.admin import alert_channels
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.engine import Storage

blueprint = Blueprint("v1_alert_channels", __name__, description="People who are notified when something is wrong.")

_test = AlertTestSchema()
_page_schema, _BODY = paging.list_of(AlertChannelSchema), request_body(AlertChannelSchema)
_CHANGES = request_body(AlertChannelChangesSchema(partial=True))
_ALL = "/accounts/<external_id>/alert_channels"
_ONE = f"{_ALL}/<{ROW_ID}:channel_id>"
_ALL_OF_OPERATORS = "/alert_channels"
_ONE_OF_OPERATORS = f"{_ALL_OF_OPERATORS}/<{ROW_ID}:channel_id>"


@blueprint.route(_ALL)
@service("alerts:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, _page_schema)
def list_(_token: ServiceToken, external_id: str) -> Response:
    """The account's channels, oldest first."""
    return _page(tenant_of(external_id).id)


@blueprint.route(_ALL, methods=["POST"])
@service("alerts")
@blueprint.doc(parameters=[PARAMETER], requestBody=_BODY)
@blueprint.response(201, NewAlertChannelSchema)
@idempotent
def create(_token: ServiceToken, storage: Storage, external_id: str) -> Response:
    """Creates a channel. That of a webhook is answered with the secret that signs, which is shown only now."""
    return _created(storage, tenant_of(external_id, storage).id)


@blueprint.route(_ONE)
@service("alerts:read")
@blueprint.response(200, AlertChannelSchema)
def show(_token: ServiceToken, external_id: str, channel_id: int) -> Response:
    """One channel."""
    return _channel(tenant_of(external_id).id, channel_id)


@blueprint.route(_ONE, methods=["PATCH"])
@service("alerts")
@blueprint.doc(requestBody=_CHANGES)
@blueprint.response(200, AlertChannelSchema)
def edit(_token: ServiceToken, external_id: str, channel_id: int) -> Response:
    """Changes the given attributes."""
    return _edited(tenant_of(external_id).id, channel_id)


@blueprint.route(_ONE, methods=["DELETE"])
@service("alerts")
@blueprint.response(204)
def delete(_token: ServiceToken, external_id: str, channel_id: int) -> Response:
    """Deletes the channel."""
    channels.delete_channel(container().storage, tenant_of(external_id).id, channel_id)
    return no_content()


@blueprint.route(f"{_ONE}/test", methods=["POST"])
@service("alerts")
@blueprint.response(200, AlertTestSchema)
def send_test(_token: ServiceToken, external_id: str, channel_id: int) -> Response:
    """Sends a test at once, and answers with what became of it. At most once a minute."""
    return _tested(tenant_of(external_id).id, channel_id)


@blueprint.route(_ALL_OF_OPERATORS)
@service("alerts:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, _page_schema)
def list_of_operators(_token: ServiceToken) -> Response:
    """The operators' channels, oldest first."""
    return _page(None)


@blueprint.route(_ALL_OF_OPERATORS, methods=["POST"])
@service("alerts")
@blueprint.doc(parameters=[PARAMETER], requestBody=_BODY)
@blueprint.response(201, NewAlertChannelSchema)
@idempotent
def create_of_operators(_token: ServiceToken, storage: Storage) -> Response:
    """Creates a channel for operators."""
    return _created(storage, None)


@blueprint.route(_ONE_OF_OPERATORS)
@service("alerts:read")
@blueprint.response(200, AlertChannelSchema)
def show_of_operators(_token: ServiceToken, channel_id: int) -> Response:
    """One of the operators' channels."""
    return _channel(None, channel_id)


@blueprint.route(_ONE_OF_OPERATORS, methods=["PATCH"])
@service("alerts")
@blueprint.doc(requestBody=_CHANGES)
@blueprint.response(200, AlertChannelSchema)
def edit_of_operators(_token: ServiceToken, channel_id: int) -> Response:
    """Changes the given attributes of one of the operators' channels."""
    return _edited(None, channel_id)


@blueprint.route(_ONE_OF_OPERATORS, methods=["DELETE"])
@service("alerts")
@blueprint.response(204)
def delete_of_operators(_token: ServiceToken, channel_id: int) -> Response:
    """Deletes one of the operators' channels."""
    channels.delete_channel(container().storage, None, channel_id)
    return no_content()


@blueprint.route(f"{_ONE_OF_OPERATORS}/test", methods=["POST"])
@service("alerts")
@blueprint.response(200, AlertTestSchema)
def send_test_of_operators(_token: ServiceToken, channel_id: int) -> Response:
    """Sends a test to one of the operators' channels."""
    return _tested(None, channel_id)


def _page(account_id: int | None) -> Response:
    storage = container().storage
    some = storage.read(alert_channels.list_all, storage.secrets, account_id, **paging.bounds())
    return paging.page(some, _json, lambda one: one.id)


def _created(storage: Storage, account_id: int | None) -> Response:
    created = channels.create_channel(storage, account_id, json_object())
    return json_response({**_json(created), "signing_secret": created.signing_secret}, 201)


def _channel(account_id: int | None, channel_id: int) -> Response:
    storage = container().storage
    return json_response(_json(storage.read(alert_channels.find, storage.secrets, account_id, channel_id)))


def _edited(account_id: int | None, channel_id: int) -> Response:
    return json_response(_json(channels.edit_channel(container().storage, account_id, channel_id, json_object())))


def _tested(account_id: int | None, channel_id: int) -> Response:
    parts = container()
    with parts.pinger.slots.acquire(f"alerts:{account_id}"):
        error = channels.send_test(parts.storage, parts.senders, parts.settings, account_id, channel_id)
    return json_response(_test.dump({"sent": error is None, "error": error}))


def _json(channel: AlertChannel) -> dict[str, Any]:
    return alert_channel_json(channel, "UTC")
