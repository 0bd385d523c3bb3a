"""The audit log: who did what, in one account or in all."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.http import container
from dispatcher.api.v1 import paging
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import service
from dispatcher.model.audit import AuditEntry
from dispatcher.schemas.api.audit import AuditEntrySchema
from dispatcher.schemas.wire.fields import written_in
from dispatcher.storage.admin import audit
from dispatcher.storage.admin.service_tokens import ServiceToken

blueprint = Blueprint("v1_audit", __name__, description="Who did what.")

_entry, _page_schema = AuditEntrySchema(), paging.list_of(AuditEntrySchema)


@blueprint.route("/audit_log")
@service("audit:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, _page_schema)
def list_all(_token: ServiceToken) -> Response:
    """What was done in all accounts, and by operators, newest first."""
    return _page(None)


@blueprint.route("/accounts/<external_id>/audit_log")
@service("audit:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, _page_schema)
def list_(_token: ServiceToken, external_id: str) -> Response:
    """What was done in the account, newest first."""
    return _page(tenant_of(external_id).id)


def _page(account_id: int | None) -> Response:
    some = container().storage.read(audit.page, account_id=account_id, **paging.newest_first())
    return paging.page(some, _json, lambda one: one.id)


def _json(entry: AuditEntry) -> Any:
    with written_in("UTC"):
        return _entry.dump(entry)
