"""Accounts, by the company's own ids, with their limits."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.access import tenants as use_cases
from dispatcher.api.http import container, json_object, json_response, request_body
from dispatcher.api.v1 import paging
from dispatcher.api.v1.auth import service
from dispatcher.schemas.api.tenant import ErasedSchema, TenantSchema
from dispatcher.schemas.wire.fields import written_in
from dispatcher.storage.admin import tenants
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.admin.tenants import Tenant
from dispatcher.storage.engine import Storage

blueprint = Blueprint("v1_accounts", __name__, description="Accounts of the company's customers.")

_tenant, _erased = TenantSchema(), ErasedSchema()
_ONE = "/accounts/<external_id>"
_BODY = request_body(TenantSchema)
_CREATED: dict[str, Any] = {
    "201": {
        "description": "Created",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tenant"}}},
    }
}


def tenant_of(external_id: str, storage: Storage | None = None) -> Tenant:
    """The account of the path; raises AccountNotFound. `storage`: an idempotent view's."""
    return (storage or container().storage).read(tenants.find, external_id)


@blueprint.route("/accounts")
@service("accounts:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, paging.list_of(TenantSchema))
def list_(_token: ServiceToken) -> Response:
    """Accounts, oldest first."""
    return paging.page(container().storage.read(tenants.page, **paging.bounds()), _json, lambda one: one.id)


@blueprint.route(_ONE)
@service("accounts:read")
@blueprint.response(200, TenantSchema)
def show(_token: ServiceToken, external_id: str) -> Response:
    """One account."""
    return json_response(_json(tenant_of(external_id)))


@blueprint.route(_ONE, methods=["PUT"])
@service("accounts")
@blueprint.doc(requestBody=_BODY, responses=_CREATED)
@blueprint.response(200, TenantSchema)
def put(_token: ServiceToken, external_id: str) -> Response:
    """Creates the account, or changes the given attributes of the one that exists.

    Attributes that are not given keep their value; in a new account they get the default.
    """
    tenant, is_new = use_cases.upsert(container().storage, container().settings, external_id, json_object())
    return json_response(_json(tenant), 201 if is_new else 200)


@blueprint.route(_ONE, methods=["PATCH"])
@service("accounts")
@blueprint.doc(requestBody=_BODY)
@blueprint.response(200, TenantSchema)
def edit(_token: ServiceToken, external_id: str) -> Response:
    """Changes the given attributes of an account that exists."""
    return json_response(_json(use_cases.edit(container().storage, container().settings, external_id, json_object())))


@blueprint.route(_ONE, methods=["DELETE"])
@service("accounts")
@blueprint.doc(
    responses={
        "202": {
            "description": "Deleted; workers go on with erasing its history",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Erased"}}},
        }
    }
)
@blueprint.response(200, ErasedSchema)
def delete(_token: ServiceToken, external_id: str) -> Response:
    """Deletes the account and all of it: webhooks, events, deliveries, attempts, replays, clients, users and tokens.

    Nothing more is sent from then on. The response counts what was deleted. A long history takes longer than a request:
    the status is then 202, `complete` is false, and workers go on every hour.
    """
    deleted, is_complete = use_cases.delete(container().storage, external_id)
    body = {"external_id": external_id, "complete": is_complete, "deleted": dict(deleted)}
    return json_response(_erased.dump(body), 200 if is_complete else 202)


def _json(tenant: Tenant) -> Any:
    with written_in("UTC"):
        return _tenant.dump(tenant)
