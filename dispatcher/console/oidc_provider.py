"""The identity provider of operators: what it publishes, and the ID token that it gives for a code.

Authlib speaks OAuth, joserfc checks signatures, and Authlib what an ID token must say.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from authlib.common.urls import add_params_to_uri
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from dispatcher import clock
from dispatcher.errors import DispatcherError
from dispatcher.settings import Settings

JSON = dict[str, Any]

TIMEOUT_S = 5.0
"""Of each request to the provider."""
KNOWN_S = 3_600.0
"""How long what it publishes is known."""
FAILED_S = 10.0
"""How long it is not asked again for that where it did not answer: anybody may begin a sign-in."""
_QUEUED_S = 0.5
"""How long a sign-in waits for another one's question."""
LEEWAY_S = 60
"""By how much its clock may differ."""
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Signatures by a private key: with a shared secret, or none at all, somebody else could have written the token."""
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class SignInFailed(DispatcherError):
    """The identity provider did not vouch for anybody."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A sign-in that began: what its end must show."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


class Provider:
    """One, by its issuer. Used by many threads at once."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, scope: str) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._lock = threading.Lock()
        self._known: tuple[JSON, float] | None = None
        self._keys: tuple[KeySet, float] | None = None
        self._failed_until_s = 0.0

    def authorization_url(self, attempt: Attempt, redirect_uri: str) -> str:
        """Where somebody signs in; raises SignInFailed."""
        endpoint = self._metadata()["authorization_endpoint"]
        with self._session(redirect_uri) as session:
            url, _ = session.create_authorization_url(
                endpoint, state=attempt.state, code_verifier=attempt.verifier, nonce=attempt.nonce
            )
        return str(url)

    def claims(self, code: str, attempt: Attempt, redirect_uri: str) -> Mapping[str, Any]:
        """Whom the provider vouches for; raises SignInFailed."""
        endpoint = self._metadata()["token_endpoint"]
        try:
            with self._session(redirect_uri) as session:
                token = session.fetch_token(
                    endpoint, grant_type="authorization_code", code=code, code_verifier=attempt.verifier
                )
            return self._verified(token["id_token"], token.get("access_token"), attempt.nonce)
        except (OAuthError, JoseError, OSError, ValueError, KeyError, TypeError) as error:
            raise SignInFailed(f"{type(error).__name__}: {error}") from error

    def sign_out_url(self, back_to: str) -> str | None:
        """Where somebody signs out of the provider, too; None where it has no such page. Raises SignInFailed."""
        endpoint = self._metadata().get("end_session_endpoint")
        parameters = [("client_id", self._client_id), ("post_logout_redirect_uri", back_to)]
        return endpoint and str(add_params_to_uri(endpoint, parameters))

    def check_issuer(self, issuer: str | None) -> None:
        """Raises SignInFailed where a response names another issuer (RFC 9207)."""
        if issuer is not None and issuer != self._issuer:
            raise SignInFailed("the response is another issuer's")

    def _verified(self, id_token: str, access_token: str | None, nonce: str) -> Mapping[str, Any]:
        registry = JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)
        try:
            token = jwt.decode(id_token, self._key_set(), registry=registry)
        except InvalidKeyIdError:  # a new key
            token = jwt.decode(id_token, self._key_set(refresh=True), registry=registry)
        required = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
            "nonce": {"essential": True, "value": nonce},
        }
        parameters = {"nonce": nonce, "client_id": self._client_id, "access_token": access_token}
        claims = CodeIDToken(token.claims, token.header, required, parameters)
        claims.validate(leeway=LEEWAY_S)
        return dict(token.claims)

    def _metadata(self) -> JSON:
        with self._asking():
            if self._known is None or self._known[1] < clock.monotonic():
                metadata = self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                if metadata.get("issuer") != self._issuer:
                    raise SignInFailed("DISPATCHER_OIDC_ISSUER is not the issuer that is published there")
                if not all(_is_as_safe(metadata.get(name), self._issuer) for name in _ENDPOINTS):
                    raise SignInFailed("an endpoint is missing, or is reached without TLS")
                self._known = metadata, clock.monotonic() + KNOWN_S
            return self._known[0]

    def _key_set(self, *, refresh: bool = False) -> KeySet:
        uri = self._metadata()["jwks_uri"]
        with self._asking():
            if refresh or self._keys is None or self._keys[1] < clock.monotonic():
                self._keys = KeySet.import_key_set(self._get(uri)), clock.monotonic() + KNOWN_S
            return self._keys[0]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """For one thread at a time. While the provider does not answer, sign-ins do not queue: others need threads."""
        if clock.monotonic() < self._failed_until_s or not self._lock.acquire(timeout=_QUEUED_S):
            raise SignInFailed("the identity provider did not answer a moment ago")
        try:
            yield
        except SignInFailed:
            self._failed_until_s = clock.monotonic() + FAILED_S
            raise
        finally:
            self._lock.release()

    def _get(self, url: str) -> Any:
        try:
            with self._session() as session:
                response = session.get(url, withhold_token=True, allow_redirects=False)
                response.raise_for_status()
                document = response.json()
        except (OSError, ValueError) as error:
            raise SignInFailed(f"{url}: {error}") from error
        if not isinstance(document, dict):
            raise SignInFailed(f"{url}: not a JSON object")
        return document

    def _session(self, redirect_uri: str | None = None) -> OAuth2Session:
        return OAuth2Session(
            self._client_id,
            self._client_secret or None,
            scope=self._scope,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            default_timeout=TIMEOUT_S,
        )


def provider_of(settings: Settings) -> Provider | None:
    """The provider of these settings; None where there is none."""
    if not settings.oidc_issuer:
        return None
    return _provider(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_scope)


@cache
def _provider(issuer: str, client_id: str, client_secret: str, scope: str) -> Provider:
    return Provider(issuer, client_id, client_secret, scope)


def _is_as_safe(url: object, issuer: str) -> bool:
    return isinstance(url, str) and urlsplit(url).scheme in ("https", urlsplit(issuer).scheme)
