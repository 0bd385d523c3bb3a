"""Links to the portal as a company's programs and operators make and end them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from marshmallow import ValidationError

from dispatcher.errors import InvalidPortalSession, PortalSessionNotFound
from dispatcher.model.portal import PortalSession
from dispatcher.schemas.api.portal import PortalSessionSchema
from dispatcher.schemas.errors import texts_by_field
from dispatcher.storage.admin import audit, portal_sessions, tenants
from dispatcher.storage.engine import Connection, transactional

_schema = PortalSessionSchema()


@transactional
def create(connection: Connection, external_id: str, attributes: Mapping[str, Any]) -> tuple[PortalSession, str]:
    """A new link to the account's portal, and its token, shown only now.

    Raises AccountNotFound or InvalidPortalSession.
    """
    tenant = tenants.find(connection, external_id)
    try:
        checked = _schema.load(dict(attributes))
    except ValidationError as error:
        raise InvalidPortalSession(texts_by_field(error)) from None
    lifetime = timedelta(seconds=checked.pop("expires_in"))
    created, token = portal_sessions.create(connection, tenant.id, lifetime=lifetime, **checked)
    about = {"role": created.role, "label": created.label, "expires_in": int(lifetime.total_seconds())}
    audit.record(connection, "portal_session.created", created.id, account_id=tenant.id, **about)
    return created, token


@transactional
def revoke(connection: Connection, external_id: str, id_: int | None = None) -> int:
    """Ends a link or session of the account, or all of them; returns how many. Raises AccountNotFound.

    Raises PortalSessionNotFound where that one does not live.
    """
    tenant = tenants.find(connection, external_id)
    ended = portal_sessions.end(connection, tenant.id, id_)
    if id_ is not None and not ended:
        raise PortalSessionNotFound(id_)
    for one in ended:
        audit.record(connection, "portal_session.revoked", one, account_id=tenant.id)
    return len(ended)


def link(public_url: str, token: str) -> str:
    """The URL of a link. Its token is in the query, which no log line has."""
    return f"{public_url.rstrip('/')}/portal/enter?token={token}"
