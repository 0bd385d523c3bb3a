"""The authorization server: Authlib's (RFC 6749, 7636), with clients, codes and tokens in Postgres.

What differs from Authlib's own: JSON bodies beside forms, Basic in both Base64 alphabets, tokens of API v3's lengths
and lifetimes. Every call runs in one transaction (`connection()`): a code is used up exactly if its tokens are stored.
"""

import base64
import binascii
import re
from dataclasses import replace
from typing import Any, cast

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientMixin,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Payload,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Response, g, request
from werkzeug.datastructures import MultiDict

from dispatcher.api.http import json_object, json_response
from dispatcher.errors import ApiError
from dispatcher.storage.admin import clients, tokens, users
from dispatcher.storage.admin.clients import Client
from dispatcher.storage.admin.sessions import Person
from dispatcher.storage.admin.tokens import Grant
from dispatcher.storage.engine import Connection

Parameters = MultiDict[str, str]

_CLIENT_ID = re.compile(r"[0-9a-f]{40}\Z")


def connection() -> Connection:
    """The transaction of this call (see `api/oauth.py`)."""
    return cast(Connection, g.oauth_connection)


def parameters() -> Parameters:
    """The token endpoints' parameters: a form's fields or a JSON object's attributes, never the query's."""
    if request.mimetype == "application/x-www-form-urlencoded":
        return request.form
    attributes = {name: value for name, value in json_object().items() if value is not None}
    if not all(isinstance(value, str) for value in attributes.values()):
        raise ApiError(400, "invalid_request", "Every parameter must be a string")
    return MultiDict(attributes)


class TokenRequest(OAuth2Request):
    """A request as Authlib reads it, whether its parameters came in a form, in JSON or in the query."""

    def __init__(self, parameters: Parameters) -> None:
        # Authlib refuses http://; here TLS ends at the proxy in front, and the address is used for nothing else.
        super().__init__(request.method, "https://api/", headers=request.headers)
        self.payload = Payload(parameters)

    @property
    def form(self) -> Parameters:
        """What the grants read."""
        return self.payload.data


class Payload(OAuth2Payload):
    """Parameters, with those that were sent twice."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    @property
    def data(self) -> Parameters:
        """The first of each name."""
        return self._parameters

    @property
    def datalist(self) -> dict[str, list[str]]:
        """All of each name."""
        return dict(self._parameters.lists())


class ApiClient(ClientMixin):
    """A client. One with redirect URIs acts for users by code, any other for its own account's owner."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def get_default_redirect_uri(self) -> str | None:
        """None: a request must name its redirect URI."""
        return None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exactly one of those registered."""
        return redirect_uri in self.client.redirect_uris

    def check_response_type(self, response_type: str) -> bool:
        """Only `code`."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """One with redirect URIs uses codes and refresh tokens, any other its credentials."""
        if self.client.redirect_uris:
            return grant_type in ("authorization_code", "refresh_token")
        return grant_type == "client_credentials"

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The requested scopes, by default all that the client may; None where more are requested."""
        scopes = (scope or "").split() or list(self.client.scopes)
        return " ".join(scopes) if set(scopes) <= set(self.client.scopes) else None


class StoredGrant:
    """What a code or refresh token stands for, as Authlib reads it."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.code_challenge = grant.code_challenge
        self.code_challenge_method = grant.code_challenge_method

    def get_redirect_uri(self) -> str | None:
        """The redirect URI of the code; whoever uses it must name the same."""
        return self.grant.redirect_uri

    def get_scope(self) -> str:
        """Separated by spaces."""
        return " ".join(self.grant.scopes)

    def check_client(self, client: ApiClient) -> bool:
        """Whether it is this client's."""
        return self.grant.client_id == client.client.id


class OAuthServer(AuthorizationServer):
    """Grants by code, by refresh token and by client credentials."""

    def __init__(self) -> None:
        super().__init__(scopes_supported=list(clients.SCOPES))
        self.register_token_generator("default", _new_tokens)
        self.register_grant(_CodeGrant, [CodeChallenge(required=False)])
        self.register_grant(_RefreshGrant)
        self.register_grant(_CredentialsGrant)

    def create_oauth2_request(self, parameters: Parameters) -> TokenRequest:
        """`parameters` are what the routes hand over as Authlib's `request`."""
        return TokenRequest(parameters)

    def query_client(self, client_id: str) -> ApiClient | None:
        """The live client of that id."""
        client = clients.find(connection(), client_id) if _CLIENT_ID.match(client_id) else None
        return ApiClient(client) if client else None

    def authenticate_client(self, oauth_request: TokenRequest, methods: object, endpoint: str = "token") -> ApiClient:
        """The client whose id and secret came by Basic or in the body; raises ApiError (401)."""
        client_id, secret = _basic() or (oauth_request.form.get("client_id"), oauth_request.form.get("client_secret"))
        if client_id and secret and _CLIENT_ID.match(client_id):
            client = clients.authenticate(connection(), client_id, secret)
            if client is not None:
                return ApiClient(client)
        challenge = {"WWW-Authenticate": 'Basic realm="oauth"', "Cache-Control": "no-store"}
        raise ApiError(401, "invalid_client", "The client is unknown or revoked, or its secret is incorrect", challenge)

    def save_token(self, token: dict[str, Any], oauth_request: TokenRequest) -> None:
        """Stores the new tokens: an access token ends with its refresh token, and that with its code."""
        grant = _grant(oauth_request)
        parent_id = grant.id
        if "refresh_token" in token:
            parent_id = tokens.add(connection(), "refresh", token["refresh_token"], grant, parent_id)
        tokens.add(connection(), "access", token["access_token"], grant, parent_id)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, payload: Any, headers: list[tuple[str, str]]) -> Response:
        """Authlib's response as Flask's."""
        if not isinstance(payload, dict):  # a redirect
            return Response(status=status, headers=headers)
        return json_response(payload, status, {"Cache-Control": "no-store", "Pragma": "no-cache"})

    def handle_error_response(self, oauth_request: TokenRequest | None, error: OAuth2Error) -> Response:
        """Body B, which always has a text for people, or a redirect."""
        status, payload, headers = error()
        if isinstance(payload, dict):
            text = error.get_error_description() or "The code or token is unknown, expired, used or revoked"
            payload = {"error": error.error, "error_description": text}
        return self.handle_response(status, payload, headers)


class _CredentialsGrant(ClientCredentialsGrant):
    """The client acts for the owner of its account."""

    def validate_token_request(self) -> None:
        super().validate_token_request()
        if self.request.client.get_allowed_scope(self.request.payload.scope) is None:
            raise InvalidScopeError


class _CodeGrant(AuthorizationCodeGrant):
    """The client acts for the owner who granted it access."""

    @staticmethod
    def validate_authorization_redirect_uri(oauth_request: TokenRequest, client: ApiClient) -> str:
        """The redirect URI. Authlib's own repeats a wrong one in the error, which may hold what an error may not."""
        redirect_uri: str = oauth_request.payload.redirect_uri or ""
        if not client.check_redirect_uri(redirect_uri):
            raise InvalidRequestError("The redirect_uri is not registered for the client")
        return redirect_uri

    def generate_authorization_code(self) -> str:
        return tokens.new_token()

    def save_authorization_code(self, code: str, oauth_request: TokenRequest) -> None:
        owner: Person = oauth_request.user
        assert owner.account is not None  # noqa: S101 - only operators have none, and they own nothing
        payload = oauth_request.payload
        challenge = payload.data.get("code_challenge")
        grant = Grant(
            client_id=oauth_request.client.client.id,
            account_id=owner.account.id,
            user_id=owner.user_id,
            scopes=tuple(oauth_request.scope.split()),
            redirect_uri=payload.redirect_uri,
            code_challenge=challenge,
            code_challenge_method=payload.data.get("code_challenge_method") or ("plain" if challenge else None),
        )
        tokens.add(connection(), "code", code, grant)

    def query_authorization_code(self, code: str, client: ApiClient) -> StoredGrant | None:
        """Uses the code up. A second use means that it was stolen: the tokens that it gave are revoked."""
        grant = tokens.use_code(connection(), client.client.id, code)
        if grant is None:
            tokens.revoke(connection(), client.client.id, code, kinds=("code",))
        return StoredGrant(grant) if grant else None

    def delete_authorization_code(self, authorization_code: StoredGrant) -> None:
        """Nothing: `query_authorization_code` used it up, and it is kept so that a second use is noticed."""

    def authenticate_user(self, authorization_code: StoredGrant) -> object:
        return authorization_code.grant.user_id


class _RefreshGrant(RefreshTokenGrant):
    """A new access token; the refresh token stays valid."""

    def authenticate_refresh_token(self, refresh_token: str) -> StoredGrant | None:
        grant = tokens.refresh_token(connection(), self.request.client.client.id, refresh_token)
        return StoredGrant(grant) if grant else None

    def authenticate_user(self, refresh_token: StoredGrant) -> object:
        return refresh_token.grant.user_id

    def revoke_old_credential(self, refresh_token: StoredGrant) -> None:
        """Nothing: refresh tokens do not expire, and there is no new one."""


def _new_tokens(*, include_refresh_token: bool = True, **_: object) -> dict[str, Any]:
    access: dict[str, Any] = {
        "access_token": tokens.new_token(),
        "token_type": "Bearer",
        "expires_in": int(tokens.ACCESS_LIFETIME.total_seconds()),
    }
    return access | ({"refresh_token": tokens.new_token()} if include_refresh_token else {})


def _grant(oauth_request: TokenRequest) -> Grant:
    """What the new tokens stand for; its `id` is that of the code or refresh token they are exchanged for."""
    if oauth_request.authorization_code is not None:
        code_grant: Grant = oauth_request.authorization_code.grant
        return replace(code_grant, redirect_uri=None, code_challenge=None, code_challenge_method=None)
    scope: str | None = oauth_request.payload.scope
    if oauth_request.refresh_token is not None:  # Authlib has checked that the scope is no wider
        refresh_grant: Grant = oauth_request.refresh_token.grant
        return replace(refresh_grant, scopes=tuple(scope.split())) if scope else refresh_grant
    client: Client = oauth_request.client.client
    owner = users.list_for_account(connection(), client.account_id, limit=1)[0]
    scopes = tuple(oauth_request.client.get_allowed_scope(scope).split())
    return Grant(client_id=client.id, account_id=client.account_id, user_id=owner.id, scopes=scopes)


def _basic() -> tuple[str, str] | None:
    """Id and secret of a Basic header. The docs ask for the URL-safe alphabet of Base64; clients use either."""
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    text = encoded.strip().rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        client_id, _, secret = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""  # a broken header is refused, whatever the body says
    return client_id, secret
