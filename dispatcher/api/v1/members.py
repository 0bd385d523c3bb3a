"""Who acts for an account: its users, who sign in to the console, and its clients, which call API v3."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.access.clients import create_client, revoke_client
from dispatcher.access.users import create_user, delete_user
from dispatcher.api.http import ROW_ID, container, json_object, json_response, no_content, request_body
from dispatcher.api.v1 import paging
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import service
from dispatcher.api.v1.idempotency import PARAMETER, idempotent
from dispatcher.errors import ClientNotFound, UserNotFound
from dispatcher.schemas.api.tenant import NewTenantClientSchema, TenantClientSchema, TenantUserSchema
from dispatcher.schemas.wire.fields import written_in
from dispatcher.storage.admin import clients, users
from dispatcher.storage.admin.clients import SCOPES, Client
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.engine import Storage

blueprint = Blueprint("v1_members", __name__, description="Users and clients of an account.")

_user, _client = TenantUserSchema(), TenantClientSchema()
_USERS, _CLIENTS = "/accounts/<external_id>/users", "/accounts/<external_id>/clients"


@blueprint.route(_USERS)
@service("users:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, paging.list_of(TenantUserSchema))
def list_users(_token: ServiceToken, external_id: str) -> Response:
    """The account's users, its owner among them."""
    everybody = container().storage.read(users.list_for_account, tenant_of(external_id).id)
    some = paging.part(everybody, **paging.bounds(), id_of=lambda one: one.id)
    return paging.page(some, _user.dump, lambda one: one.id)


@blueprint.route(_USERS, methods=["POST"])
@service("users")
@blueprint.doc(parameters=[PARAMETER], requestBody=request_body(TenantUserSchema))
@blueprint.response(201, TenantUserSchema)
@idempotent
def add_user(_token: ServiceToken, storage: Storage, external_id: str) -> Response:
    """Creates a user, who may sign in once there is a password."""
    slug, attributes = tenant_of(external_id, storage).slug, _user.load(json_object())
    attributes = {"full_name": attributes["email"], "password": None, **attributes}
    id_ = create_user(storage, container().access.passwords, slug, **attributes)
    return json_response(_user.dump({**attributes, "id": id_}), 201)


@blueprint.route(f"{_USERS}/<{ROW_ID}:user_id>", methods=["DELETE"])
@service("users")
@blueprint.response(204)
def remove_user(_token: ServiceToken, external_id: str, user_id: int) -> Response:
    """Deletes a user and their sessions. The owner stays: to change who that is, edit the account."""
    tenant, storage = tenant_of(external_id), container().storage
    for user in storage.read(users.list_for_account, tenant.id):
        if user.id == user_id:
            delete_user(storage, tenant.slug, user.email)
            return no_content()
    raise UserNotFound(tenant.slug, str(user_id))


@blueprint.route(_CLIENTS)
@service("clients:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, paging.list_of(TenantClientSchema))
def list_clients(_token: ServiceToken, external_id: str) -> Response:
    """The account's clients of API v3, also those that were revoked."""
    all_clients = [client for client, _ in container().storage.read(clients.list_all, tenant_of(external_id).slug)]
    some = paging.part(all_clients, **paging.bounds(), id_of=lambda one: one.id)
    return paging.page(some, _client_json, lambda one: one.id)


@blueprint.route(_CLIENTS, methods=["POST"])
@service("clients")
@blueprint.doc(parameters=[PARAMETER], requestBody=request_body(TenantClientSchema))
@blueprint.response(201, NewTenantClientSchema)
@idempotent
def add_client(_token: ServiceToken, storage: Storage, external_id: str) -> Response:
    """Creates a client of API v3. Its secret is shown only now."""
    slug, attributes = tenant_of(external_id, storage).slug, {"scopes": list(SCOPES), **_client.load(json_object())}
    client, secret = create_client(storage, slug, **attributes)
    return json_response({**_client_json(client), "client_secret": secret}, 201)


@blueprint.route(f"{_CLIENTS}/<client_id>", methods=["DELETE"])
@service("clients")
@blueprint.response(204)
def remove_client(_token: ServiceToken, external_id: str, client_id: str) -> Response:
    """Revokes a client: its tokens end, its webhooks are deleted, and their pending deliveries cancelled."""
    tenant, storage = tenant_of(external_id), container().storage
    client = storage.read(clients.find, client_id)
    if client is None or client.account_id != tenant.id:
        raise ClientNotFound(client_id)
    revoke_client(storage, client_id)
    return no_content()


def _client_json(client: Client) -> Any:
    with written_in("UTC"):
        return _client.dump(client)
