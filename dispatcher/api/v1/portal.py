"""Links to the portal of an account, and the sessions that they start."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.access import portal as use_cases
from dispatcher.api.http import ROW_ID, container, json_object, json_response, no_content, public_url, request_body
from dispatcher.api.v1 import paging
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import service
from dispatcher.model.portal import PortalSession
from dispatcher.schemas.api.portal import NewPortalSessionSchema, PortalSessionSchema
from dispatcher.schemas.wire.fields import written_in
from dispatcher.storage.admin import portal_sessions
from dispatcher.storage.admin.service_tokens import ServiceToken

blueprint = Blueprint("v1_portal", __name__, description="Links that open the portal of an account.")

_session = PortalSessionSchema()
_SESSIONS = "/accounts/<external_id>/portal_sessions"


@blueprint.route(_SESSIONS)
@service("portal:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, paging.list_of(PortalSessionSchema))
def list_sessions(_token: ServiceToken, external_id: str) -> Response:
    """Links that can be used, and sessions that go on, oldest first."""
    some = container().storage.read(portal_sessions.list_all, tenant_of(external_id).id, **paging.bounds())
    return paging.page(some, _json, lambda one: one.id)


@blueprint.route(_SESSIONS, methods=["POST"])
@service("portal")
@blueprint.doc(requestBody=request_body(PortalSessionSchema))
@blueprint.response(201, NewPortalSessionSchema)
def create_session(_token: ServiceToken, external_id: str) -> Response:
    """Creates a link that opens the account's portal, once and within an hour. Its URL is shown only now.

    Whoever opens it needs no password: give it to somebody whom you have signed in.
    """
    created, token = use_cases.create(container().storage, external_id, json_object())
    return json_response({**_json(created), "url": use_cases.link(public_url(), token)}, 201)


@blueprint.route(_SESSIONS, methods=["DELETE"])
@service("portal")
@blueprint.response(204)
def end_sessions(_token: ServiceToken, external_id: str) -> Response:
    """Ends all links and sessions of the account's portal, at once."""
    use_cases.revoke(container().storage, external_id)
    return no_content()


@blueprint.route(f"{_SESSIONS}/<{ROW_ID}:session_id>", methods=["DELETE"])
@service("portal")
@blueprint.response(204)
def end_session(_token: ServiceToken, external_id: str, session_id: int) -> Response:
    """Ends one of them, at once."""
    use_cases.revoke(container().storage, external_id, session_id)
    return no_content()


def _json(session: PortalSession) -> Any:
    with written_in("UTC"):
        return _session.dump(session)
