"""Clients of the API as operators create and revoke them."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from dispatcher.errors import InvalidClientAttribute
from dispatcher.storage.admin import accounts, audit, clients, webhooks
from dispatcher.storage.admin.clients import SCOPES, Client
from dispatcher.storage.engine import Connection, transactional

# The host goes into the consent page's Content-Security-Policy, where a semicolon would end the rule.
_NETLOC = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?\Z")
_URI = re.compile(r"""[!$-;=?-\[\]_a-z|~]+\Z""")  # printable ASCII without blanks, quotes, <, >, backslash and #
_URI_LIMIT = 2_048
_NAME_LIMIT = 200


@transactional
def create_client(
    connection: Connection, slug: str, name: str, redirect_uris: Sequence[str] = (), scopes: Sequence[str] = SCOPES
) -> tuple[Client, str]:
    """A new client of the account and its secret, shown only now; raises AccountNotFound or InvalidClientAttribute.

    With redirect URIs it acts for the users of any account who agree, without for its own account.
    """
    check_name(name)
    for uri in redirect_uris:
        _check_redirect_uri(uri)
    in_order = checked_scopes(scopes, SCOPES)
    account_id = accounts.hold(connection, slug).id
    created, secret = clients.create(connection, account_id, name, list(dict.fromkeys(redirect_uris)), in_order)
    audit.record(connection, "client.created", created.client_id, account_id=account_id, name=name, scopes=in_order)
    return created, secret


def check_name(name: str) -> None:
    """Raises InvalidClientAttribute where a client, or a service token, cannot have this name."""
    if not 1 <= len(name) <= _NAME_LIMIT or not name.isprintable():
        raise InvalidClientAttribute("name", f"must have 1 to {_NAME_LIMIT} printable characters")


def checked_scopes(scopes: Sequence[str], known: Sequence[str]) -> list[str]:
    """The scopes, each once, in the order of those that there are; raises InvalidClientAttribute."""
    if not scopes or not set(scopes) <= set(known):
        raise InvalidClientAttribute("scopes", f"must be among {', '.join(known)}")
    return [scope for scope in known if scope in scopes]


@transactional
def revoke_client(connection: Connection, client_id: str) -> int:
    """Ends the client and its tokens, deletes its webhooks, cancels their pending deliveries; returns their number.

    Raises ClientNotFound.
    """
    client = clients.find(connection, client_id)
    deleted = webhooks.delete_of_client(connection, clients.revoke(connection, client_id))
    account_id = client.account_id if client else None
    audit.record(connection, "client.revoked", client_id, account_id=account_id, deleted_webhooks=deleted)
    return deleted


def _check_redirect_uri(uri: str) -> None:
    """API v3, Authorization: compared as a whole later; localhost is not allowed. RFC 6749, 3.1.2: no fragment."""
    try:
        parts = urlsplit(uri)
        fine = parts.scheme in ("http", "https") and bool(_NETLOC.match(parts.netloc)) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        fine = False
    if not fine or len(uri) > _URI_LIMIT or not _URI.match(uri):
        raise InvalidClientAttribute(
            "redirect URI", f"{uri!r} must be an absolute http or https URL without a fragment"
        )
    host = (parts.hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        raise InvalidClientAttribute("redirect URI", "localhost is not allowed; 127.0.0.1 is")
