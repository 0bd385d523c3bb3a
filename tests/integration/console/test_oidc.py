"""Operators sign in at an identity provider, and nobody does by what it has not said."""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from dispatcher.access.sign_in import PER_ADDRESS
from dispatcher.console.oidc_provider import Attempt, Provider, SignInFailed
from dispatcher.container import Container
from dispatcher.operator_rules import read_rule
from dispatcher.web.app import create_app
from tests.integration.console.conftest import Site, an_address
from tests.support.identity import CLIENT_ID, CLIENT_SECRET, IdentityProvider

ANN = {"sub": "1", "email": "Ann@example.com", "email_verified": True, "name": "Ann"}


@pytest.fixture(scope="module")
def identity() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def app(_container: Container, identity: IdentityProvider) -> Iterator[Flask]:
    """A console of its own."""
    settings = replace(
        _container.settings,
        oidc_issuer=identity.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
        oidc_operators=(read_rule("ann@example.com"), read_rule("realm.roles=admin")),
        oidc_read_only=(read_rule("groups=support"),),
    )
    own = Container(settings)
    yield create_app(own)
    own.close()


@pytest.fixture
def client(app: Flask, identity: IdentityProvider) -> Any:
    """A browser, with an address of its own."""
    identity.claims, identity.forge = dict(ANN), None
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = an_address()
    return client


def attempt(client: Any, path: str = "/console/oidc") -> Any:
    """Signs in there; the console's response."""
    begun = client.get(path)
    assert begun.status_code == 303, begun.text
    back = urlsplit(requests.get(begun.headers["Location"], allow_redirects=False, timeout=10).headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def test_an_operator_signs_in_and_out(client: Any, identity: IdentityProvider, container: Container) -> None:
    assert "single sign-on" in client.get("/console/sign-in").text
    done = attempt(client, "/console/oidc?next=/console/audit-log")

    assert (done.status_code, done.headers["Location"]) == (303, "/console/audit-log")
    page = client.get("/console/").text
    assert "ann@example.com</a> · operator" in page
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    assert client.post("/console/sign-out", data={"csrf": csrf}).status_code == 303
    assert client.get("/console/").headers["Location"].startswith("/console/sign-in")
    out = urlsplit(client.get("/console/oidc/sign-out").headers["Location"])
    assert (out.path, parse_qs(out.query)["client_id"]) == ("/end", [CLIENT_ID])


@pytest.mark.parametrize(
    ("claims", "shown"),
    [
        ({"sub": "7", "realm": {"roles": ["admin"]}, "email": "ann@example.com"}, "7@127.0.0.1</a> · operator"),
        ({"sub": "8", "groups": ["support"]}, "8@127.0.0.1</a> · read only"),
        ({"sub": "9", "groups": ["others"]}, ""),
        ({"sub": "1", "email": "ann@example.com", "email_verified": False}, ""),
        ({"sub": "1", "email": "ann@example.com", "email_verified": "true"}, ""),
        ({"sub": "1", "groups": "support-team"}, ""),
    ],
)
def test_claims_decide_who_is_an_operator(client: Any, identity: IdentityProvider, claims: Any, shown: str) -> None:
    identity.claims = claims
    done = attempt(client)
    assert done.status_code == (303 if shown else 403)
    if shown:
        page = client.get("/console/").text
        assert shown in page
        assert client.get("/console/audit-log").status_code == 200
        assert client.get("/portal/").status_code == 401


def _none(_header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts) + "."


def _forged(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(header, claims, RSAKey.generate_key(2048, {"kid": header["kid"]}))


def _by_secret(header: dict[str, Any], claims: dict[str, Any]) -> str:
    key = OctKey.import_key(CLIENT_SECRET * 6)
    return jwt.encode(header | {"alg": "HS256"}, claims, key, algorithms=["HS256"])


WRONG: dict[str, Any] = {
    "another audience": {"aud": "other"},
    "another audience, though we are authorized": {"aud": "other", "azp": CLIENT_ID},
    "another issuer": {"iss": "https://evil.example"},
    "expired": {"exp": int(time.time()) - 600},
    "another nonce": {"nonce": "x"},
    "no nonce": {"nonce": None},
    "no signature": _none,
    "another's signature": _forged,
    "a signature by the client's secret": _by_secret,
}


@pytest.mark.parametrize("name", WRONG)
def test_an_id_token_that_is_wrong_signs_nobody_in(client: Any, identity: IdentityProvider, name: str) -> None:
    wrong = WRONG[name]
    if callable(wrong):
        identity.forge = wrong
    else:
        identity.claims = {**ANN, **wrong}

    done = attempt(client)

    assert (done.status_code, client.get_cookie("console", path="/console")) == (403, None)


def test_a_new_key_of_the_provider_is_fetched(client: Any, identity: IdentityProvider) -> None:
    assert attempt(client).status_code == 303
    identity.key = RSAKey.generate_key(2048, {"kid": "two"})
    assert attempt(client).status_code == 303


def test_a_response_counts_in_the_browser_that_began_and_once(client: Any, identity: IdentityProvider) -> None:
    begun = client.get("/console/oidc")
    back = urlsplit(requests.get(begun.headers["Location"], allow_redirects=False, timeout=10).headers["Location"])
    path = f"{back.path}?{back.query}"
    client.environ_base["REMOTE_ADDR"] = an_address()
    asked = len(identity.requests)
    stranger = client.application.test_client()
    assert stranger.get(path).status_code == 403
    assert client.get(path.replace("state=", "state=x")).status_code == 403
    client.get("/console/oidc")  # another attempt of the same browser
    assert client.get(path).status_code == 403
    assert len(identity.requests) == asked  # nobody asked the provider

    assert attempt(client).status_code == 303
    client.get("/console/oidc")
    kept = client.get_cookie("console_oidc", path="/console")
    assert kept is not None
    assert "HttpOnly" in str(begun.headers.getlist("Set-Cookie"))
    assert kept.value.startswith("gAAAA")  # encrypted
    for wrong in ("?iss=https://evil.example", "?error=access_denied", ""):
        assert client.get(f"/console/oidc/callback{wrong}").status_code == 403
    statuses = [client.get("/console/oidc/callback").status_code for _ in range(PER_ADDRESS)]
    assert statuses == [403] * (PER_ADDRESS - 5) + [429] * 5  # the one that was right takes back none of the five


def test_a_provider_that_did_not_answer_is_not_asked_again_at_once(identity: IdentityProvider) -> None:
    provider = Provider(f"{identity.issuer}/gone", CLIENT_ID, CLIENT_SECRET, "openid")
    asked = len(identity.requests)
    for _ in range(3):  # anybody may: each would wait for it in a thread of the web process
        with pytest.raises(SignInFailed):
            provider.authorization_url(Attempt(state="s", nonce="n", verifier="v"), "")
    assert len(identity.requests) == asked + 1


def test_without_a_provider_there_is_no_such_page(site: Site) -> None:
    assert "single sign-on" not in site.get("/sign-in").text
    assert {site.get(f"/oidc{path}").status_code for path in ("", "/callback", "/sign-out")} == {404}
