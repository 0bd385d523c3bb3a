"""What Authlib needs to be our authorization server: our clients, codes and tokens in the shapes that it asks for.

Authlib knows the protocol (RFC 6749, 7636); here is what is ours about it: JSON bodies beside forms, Basic in
both Base64 alphabets, tokens of API v3's lengths and lifetimes, and hashes in Postgres. Every call runs in one
transaction (`connection()`), so that a code is used and what it gives is stored together, or neither.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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

from dispatcher.api.parts import answer, json_object
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
    found: Connection = g.oauth_connection
    return found


def parameters() -> Parameters:
    """The token endpoints' parameters: a form's fields or a JSON object's attributes, never the query's."""
    if request.mimetype == "application/x-www-form-urlencoded":
        return request.form
    given = {name: value for name, value in json_object().items() if value is not None}
    if not all(isinstance(value, str) for value in given.values()):
        raise ApiError(400, "invalid_request", "Every parameter must be a string")
    return MultiDict(given)


class TokenRequest(OAuth2Request):
    """A request as Authlib reads it, whether its parameters came in a form, in JSON or in the query."""

    def __init__(self, given: Parameters) -> None:
        # Authlib refuses http://; here TLS ends at the proxy before us, and the address is used for nothing else.
        super().__init__(request.method, "https://api/", headers=request.headers)
        self.payload = Payload(given)

    @property
    def form(self) -> Mapping[str, str]:
        """What the grants read."""
        return self.payload.data


class Payload(OAuth2Payload):
    """Parameters, with those that were sent twice."""

    def __init__(self, given: Parameters) -> None:
        self._given = given

    @property
    def data(self) -> Parameters:
        """The first of each name."""
        return self._given

    @property
    def datalist(self) -> dict[str, list[str]]:
        """All of each name."""
        return dict(self._given.lists())


class ApiClient(ClientMixin):
    """A client of ours. One with redirect URIs acts for users by code, any other for its own account's owner."""

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
        """By what the client was made for."""
        by_code = grant_type in ("authorization_code", "refresh_token")
        return by_code if self.client.redirect_uris else grant_type == "client_credentials"

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """All that the client may, or what was asked for; None where that is more."""
        wanted = (scope or "").split() or list(self.client.scopes)
        return " ".join(wanted) if set(wanted) <= set(self.client.scopes) else None


class Held:
    """A code or refresh token that was found, as Authlib asks for its facts."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.code_challenge = grant.code_challenge
        self.code_challenge_method = grant.code_challenge_method

    def get_redirect_uri(self) -> str | None:
        """Where the code was sent; whoever uses it must name the same."""
        return self.grant.redirect_uri

    def get_scope(self) -> str:
        """Apart by blanks."""
        return " ".join(self.grant.scopes)

    def check_client(self, client: ApiClient) -> bool:
        """Whether it is that client's."""
        return self.grant.client_id == client.client.id


class OAuthServer(AuthorizationServer):
    """The authorization server: grants by code, by refresh token and by client credentials."""

    def __init__(self) -> None:
        super().__init__(scopes_supported=list(clients.SCOPES))
        self.register_token_generator("default", _new_tokens)
        self.register_grant(_ByCode, [CodeChallenge(required=False)])
        self.register_grant(_ByRefreshToken)
        self.register_grant(_ByCredentials)

    def create_oauth2_request(self, given: Parameters) -> TokenRequest:
        """`given` is what our routes hand over as Authlib's `request`."""
        return TokenRequest(given)

    def query_client(self, client_id: str) -> ApiClient | None:
        """The live client of that id."""
        found = clients.find(connection(), client_id) if _CLIENT_ID.match(client_id) else None
        return ApiClient(found) if found else None

    def authenticate_client(self, oauth_request: TokenRequest, methods: object, endpoint: str = "token") -> ApiClient:
        """The client whose id and secret came by Basic or in the body; raises ApiError (401)."""
        client_id, secret = _basic() or (oauth_request.form.get("client_id"), oauth_request.form.get("client_secret"))
        if client_id and secret and _CLIENT_ID.match(client_id):
            found = clients.authenticate(connection(), client_id, secret)
            if found is not None:
                return ApiClient(found)
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
        """Authlib's answer as ours."""
        if not isinstance(payload, dict):  # a redirect
            return Response(status=status, headers=headers)
        return answer(payload, status, {"Cache-Control": "no-store", "Pragma": "no-cache"})

    def handle_error_response(self, oauth_request: TokenRequest | None, error: OAuth2Error) -> Response:
        """Body B, which has a text for people always, or a redirect."""
        status, payload, headers = error()
        if isinstance(payload, dict):
            text = error.get_error_description() or "The code or token is unknown, expired, used or revoked"
            payload = {"error": error.error, "error_description": text}
        return self.handle_response(status, payload, headers)


class _ByCredentials(ClientCredentialsGrant):
    """The client acts for the owner of its account."""

    def validate_token_request(self) -> None:
        super().validate_token_request()
        if self.request.client.get_allowed_scope(self.request.payload.scope) is None:
            raise InvalidScopeError


class _ByCode(AuthorizationCodeGrant):
    """The client acts for the owner who agreed."""

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

    def query_authorization_code(self, code: str, client: ApiClient) -> Held | None:
        """Uses the code up. A second use is a theft, of the first or of this one: what the code gave ends."""
        found = tokens.use_code(connection(), client.client.id, code)
        if found is None:
            tokens.revoke(connection(), client.client.id, code, kinds=("code",))
        return Held(found) if found else None

    def delete_authorization_code(self, authorization_code: Held) -> None:
        """Nothing: it was used up when it was found, and is kept so that a second use is seen."""

    def authenticate_user(self, authorization_code: Held) -> object:
        return authorization_code.grant.user_id


class _ByRefreshToken(RefreshTokenGrant):
    """A new access token; the refresh token stays what it is."""

    def authenticate_refresh_token(self, refresh_token: str) -> Held | None:
        found = tokens.refresh_token(connection(), self.request.client.client.id, refresh_token)
        return Held(found) if found else None

    def authenticate_user(self, refresh_token: Held) -> object:
        return refresh_token.grant.user_id

    def revoke_old_credential(self, refresh_token: Held) -> None:
        """Nothing: refresh tokens do not expire, and no new one was given."""


def _new_tokens(*, include_refresh_token: bool = True, **_: object) -> dict[str, Any]:
    """API v3's answer, attribute by attribute."""
    made: dict[str, Any] = {
        "access_token": tokens.new_token(),
        "token_type": "Bearer",
        "expires_in": int(tokens.ACCESS_LIFETIME.total_seconds()),
    }
    return made | ({"refresh_token": tokens.new_token()} if include_refresh_token else {})


def _grant(oauth_request: TokenRequest) -> Grant:
    """What the new tokens stand for; its `id` is that of the code or refresh token which they are given for."""
    if oauth_request.authorization_code is not None:
        of_code: Grant = oauth_request.authorization_code.grant
        return replace(of_code, redirect_uri=None, code_challenge=None, code_challenge_method=None)
    scope: str | None = oauth_request.payload.scope
    if oauth_request.refresh_token is not None:  # Authlib has checked that no more is asked for than was given
        of_token: Grant = oauth_request.refresh_token.grant
        return replace(of_token, scopes=tuple(scope.split())) if scope else of_token
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
