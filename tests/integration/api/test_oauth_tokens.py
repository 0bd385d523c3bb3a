"""The token endpoints, as existing clients call them and as they had better not."""

import base64
import hashlib
import json
import threading
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.pipeline.prune import prune
from dispatcher.storage.admin import clients, tokens, users
from dispatcher.storage.admin.tokens import Grant
from tests.support.api import Api, Server, send

REDIRECT_URI = "https://app.example.com/callback?from=us"
HEX_80 = set("0123456789abcdef")


@pytest.fixture
def integration(server: Server, container: Container, account: Account) -> Api:
    """A client that acts for users by code."""
    return Api.of(server, container, account, redirect_uri=REDIRECT_URI)


def basic(api: Api, secret: str | None = None, alphabet: Any = base64.b64encode) -> dict[str, str]:
    text = f"{api.client.client_id}:{api.secret if secret is None else secret}"
    return {"Authorization": "Basic " + alphabet(text.encode()).decode()}


def token(api: Api, path: str = "oauth/token", headers: Any = None, **given: Any) -> Any:
    """POSTs `given` as JSON, with Basic."""
    return api.post(path, json=given, headers=basic(api) if headers is None else headers)


def a_code(api: Api, **given: Any) -> str:
    """As the consent page gives one out."""

    def add(connection: Any) -> str:
        owner, code = users.list_for_account(connection, api.account.id)[0], tokens.new_token()
        grant: dict[str, Any] = {
            "client_id": api.client.id,
            "account_id": api.account.id,
            "user_id": owner.id,
            "scopes": api.client.scopes,
            "redirect_uri": REDIRECT_URI,
        }
        tokens.add(connection, "code", code, Grant(**(grant | given)))
        return code

    return api.container.storage.transact(add)


def exchanged(api: Api, code: str, **given: Any) -> Any:
    return token(api, grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI, **given)


def is_accepted(api: Api, access_token: str | None) -> bool:
    answer = api.get("user.json", headers={"Authorization": f"Bearer {access_token}"})
    assert answer.status_code in (200, 401)
    return bool(answer.status_code == 200)


def test_client_credentials_give_an_access_token_for_two_hours_beside_the_earlier_ones(api: Api) -> None:
    issued = []
    for path in ("oauth/token", "oauth/token.json"):
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            answer = token(api, path, basic(api, alphabet=alphabet), grant_type="client_credentials")

            given = answer.json()
            assert answer.status_code == 200
            assert list(given) == ["access_token", "token_type", "expires_in"]
            assert (given["token_type"], given["expires_in"]) == ("Bearer", 7200)
            assert len(given["access_token"]) == 80
            assert set(given["access_token"]) <= HEX_80
            assert answer.headers["Cache-Control"] == "no-store"
            issued.append(given["access_token"])
    assert len(set(issued)) == 4
    assert all(is_accepted(api, one) for one in issued)


def test_forms_and_a_secret_in_the_body_do_too(api: Api) -> None:
    body = {"grant_type": "client_credentials", "client_id": api.client.client_id, "client_secret": api.secret}

    for answer in (
        api.post("oauth/token", data=body, headers={"Authorization": ""}),
        api.post("oauth/token", json=body, headers={"Authorization": ""}),
        api.post("oauth/token", data={"grant_type": "client_credentials"}, headers=basic(api)),
    ):
        assert answer.status_code == 200, answer.text


def test_a_client_that_does_not_say_who_it_is_is_refused(api: Api) -> None:
    no_text = "Basic " + base64.b64encode(b"\xff\xfe").decode()
    for header in ("", "Basic", "Basic !!!", no_text, "Basic bm8gY29sb24=", "Bearer x"):
        answer = token(api, headers={"Authorization": header}, grant_type="client_credentials")

        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), header
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="oauth"'


def test_an_unknown_client_is_refused(api: Api) -> None:
    for client_id in ("", "0" * 40, "x", "\0" * 40, "\ud800", "a" * 20_000):
        body = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": api.secret}

        answer = api.post("oauth/token", json=body, headers={"Authorization": ""})

        assert answer.status_code == 401, ascii(client_id[:50])


def test_a_wrong_secret_is_refused_and_so_is_a_revoked_client(api: Api) -> None:
    assert token(api, headers=basic(api, "0" * 40), grant_type="client_credentials").status_code == 401
    assert token(api, headers=basic(api, ""), grant_type="client_credentials").status_code == 401

    api.container.storage.transact(clients.revoke, api.client.client_id)

    assert token(api, grant_type="client_credentials").status_code == 401
    assert not is_accepted(api, api.token)


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "invalid_request"),
    ({"grant_type": ""}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"grant_type": "\ud800"}, 400, "unsupported_grant_type"),
    ({"grant_type": ["client_credentials"]}, 400, "invalid_request"),
    ({"grant_type": "client_credentials", "scope": "everything"}, 400, "invalid_scope"),
    ({"grant_type": "client_credentials", "scope": 'what"ever\0'}, 400, "invalid_scope"),
    ({"grant_type": "authorization_code", "code": "x"}, 400, "unauthorized_client"),
    ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "unauthorized_client"),
]


def test_a_wrong_request_is_told_in_the_words_of_oauth(api: Api) -> None:
    for given, status, code in WRONG:
        answer = token(api, **given)

        assert (answer.status_code, answer.json()["error"]) == (status, code), ascii(given)
        assert list(answer.json()) == ["error", "error_description"]
        assert answer.json()["error_description"]


def test_a_body_larger_than_any_form_is_refused_unread(api: Api) -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        answer = api.post("oauth/token", data=b"a" * 70_000, headers=basic(api) | {"Content-Type": kind})
        assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")
        assert answer.json()["error_description"] == "The body is larger than 64 KiB"


def test_what_is_no_json_object_is_refused(api: Api) -> None:
    for body in (b"", b"[]", b'"x"', b"{", b"\xff", b"[" * 60_000, b'{"grant_type": NaN}'):
        for path in ("oauth/token", "oauth/revoke"):
            answer = api.post(path, data=body, headers=basic(api) | {"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), body[:50]


def test_another_type_of_body_is_refused(api: Api) -> None:
    answer = api.post("oauth/token", data="<xml/>", headers=basic(api) | {"Content-Type": "text/xml"})

    assert answer.status_code == 415


def test_parameters_in_the_address_do_not_count(api: Api) -> None:
    answer = api.post("oauth/token?grant_type=client_credentials", data={"x": "y"}, headers=basic(api))

    assert answer.status_code == 400


def test_a_token_may_be_narrowed(api: Api) -> None:
    narrow = token(api, grant_type="client_credentials", scope="events:read").json()["access_token"]

    answer = api.get("/webhooks.json", headers={"Authorization": f"Bearer {narrow}"})

    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


def test_a_client_gets_no_scope_that_it_has_not(api: Api) -> None:
    narrow = api.another("webhooks")

    assert token(narrow, grant_type="client_credentials", scope="deliveries").json()["error"] == "invalid_scope"
    given = token(narrow, grant_type="client_credentials").json()["access_token"]
    assert narrow.get("/webhooks.json", headers={"Authorization": f"Bearer {given}"}).status_code == 200


def test_a_code_gives_both_tokens_and_the_refresh_token_more_of_the_one(integration: Api) -> None:
    answer = exchanged(integration, a_code(integration))

    given = answer.json()
    assert answer.status_code == 200
    assert list(given) == ["access_token", "token_type", "expires_in", "refresh_token"]
    assert {len(given["access_token"]), len(given["refresh_token"])} == {80}

    answer = token(integration, grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert list(answer.json()) == ["access_token", "token_type", "expires_in"]
    assert is_accepted(integration, given["access_token"])
    assert is_accepted(integration, answer.json()["access_token"])
    assert token(integration, grant_type="refresh_token", refresh_token=given["refresh_token"]).status_code == 200


def test_a_refresh_token_is_no_access_token(integration: Api) -> None:
    given = exchanged(integration, a_code(integration)).json()

    assert not is_accepted(integration, given["refresh_token"])
    answer = token(integration, grant_type="refresh_token", refresh_token=given["access_token"])
    assert answer.json()["error"] == "invalid_grant"


def test_a_refresh_may_ask_for_less_but_not_for_more(server: Server, container: Container, account: Account) -> None:
    narrow = Api.of(server, container, account, "webhooks", "events:read", redirect_uri=REDIRECT_URI)
    refresh = exchanged(narrow, a_code(narrow)).json()["refresh_token"]

    less = token(narrow, grant_type="refresh_token", refresh_token=refresh, scope="events:read").json()
    more = token(narrow, grant_type="refresh_token", refresh_token=refresh, scope="events:read deliveries")

    header = {"Authorization": f"Bearer {less['access_token']}"}
    assert narrow.get("/webhooks.json", headers=header).status_code == 403
    assert more.json()["error"] == "invalid_scope"


def test_a_code_may_not_be_widened(server: Server, container: Container, account: Account) -> None:
    narrow = Api.of(server, container, account, "webhooks", redirect_uri=REDIRECT_URI)

    given = exchanged(narrow, a_code(narrow), scope="webhooks deliveries").json()

    assert narrow.sql(
        "select distinct scopes from dispatcher.tokens where client_id = %(id)s", id=narrow.client.id
    ) == [(["webhooks"],)]
    assert "access_token" in given


def test_a_code_works_once_and_a_second_use_ends_what_it_gave(integration: Api) -> None:
    code = a_code(integration)
    given = exchanged(integration, code).json()
    more = token(integration, grant_type="refresh_token", refresh_token=given["refresh_token"]).json()

    answer = exchanged(integration, code)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert not is_accepted(integration, given["access_token"])
    assert not is_accepted(integration, more["access_token"])
    assert token(integration, grant_type="refresh_token", refresh_token=given["refresh_token"]).status_code == 400


def test_of_many_who_use_a_code_at_once_none_keeps_a_token(integration: Api) -> None:
    code, answers = a_code(integration), []
    threads = [threading.Thread(target=lambda: answers.append(exchanged(integration, code))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    given = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(given) == 1
    assert not is_accepted(integration, given[0]["access_token"])


def test_a_code_lives_five_minutes(integration: Api) -> None:
    code, old = a_code(integration), a_code(integration)
    lifetimes = "select extract(epoch from expires_at - created_at)::int from dispatcher.tokens where kind = 'code'"
    assert set(integration.sql(lifetimes)) == {(300,)}
    integration.sql(
        "update dispatcher.tokens set expires_at = now() where hash = %(hash)s",
        hash=hashlib.sha256(old.encode()).digest(),
    )

    assert exchanged(integration, old).json()["error"] == "invalid_grant"
    assert exchanged(integration, code).status_code == 200


def test_a_code_is_for_its_client_and_its_redirect_uri(
    server: Server, container: Container, account: Account, integration: Api
) -> None:
    other = Api.of(server, container, account, redirect_uri=REDIRECT_URI)
    assert exchanged(other, a_code(integration)).json()["error"] == "invalid_grant"

    for redirect_uri in ({}, {"redirect_uri": "https://app.example.com/callback"}, {"redirect_uri": ""}):
        given = {"grant_type": "authorization_code", "code": a_code(integration)} | redirect_uri
        assert token(integration, **given).json()["error"] == "invalid_grant"


def test_an_integration_gets_no_token_for_itself(integration: Api) -> None:
    assert token(integration, grant_type="client_credentials").json()["error"] == "unauthorized_client"


VERIFIER = "v" * 43
S256 = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


def test_a_code_with_a_challenge_takes_its_verifier(integration: Api) -> None:
    for method, challenge in (("S256", S256), ("plain", VERIFIER)):
        given = {"code_challenge": challenge, "code_challenge_method": method}

        assert exchanged(integration, a_code(integration, **given), code_verifier=VERIFIER).status_code == 200, method
        wrong = exchanged(integration, a_code(integration, **given), code_verifier="w" * 43)
        assert wrong.json()["error"] == "invalid_grant"
        assert exchanged(integration, a_code(integration, **given)).json()["error"] == "invalid_request"
    assert exchanged(integration, a_code(integration), code_verifier=VERIFIER).status_code == 400


def test_revoking_a_refresh_token_ends_its_access_tokens(integration: Api) -> None:
    others = exchanged(integration, a_code(integration)).json()
    for path in ("oauth/revoke", "oauth/revoke.json"):
        given = exchanged(integration, a_code(integration)).json()

        answer = token(integration, path, token=given["refresh_token"])

        assert answer.status_code == 200
        assert not is_accepted(integration, given["access_token"]), path
        refreshed = token(integration, grant_type="refresh_token", refresh_token=given["refresh_token"])
        assert refreshed.json()["error"] == "invalid_grant"
    assert is_accepted(integration, others["access_token"])


def test_revoking_an_access_token_ends_it_alone(integration: Api) -> None:
    given = exchanged(integration, a_code(integration)).json()

    answer = integration.post("oauth/revoke", data={"token": given["access_token"]}, headers=basic(integration))

    assert answer.status_code == 200
    assert not is_accepted(integration, given["access_token"])
    assert token(integration, grant_type="refresh_token", refresh_token=given["refresh_token"]).status_code == 200


def test_another_clients_token_is_not_revoked_and_nobody_is_told(
    server: Server, container: Container, account: Account, integration: Api
) -> None:
    given = exchanged(integration, a_code(integration)).json()
    other = Api.of(server, container, account)

    for word in (given["refresh_token"], given["access_token"], "unknown", "\0\ud800"):
        assert token(other, "oauth/revoke", token=word).status_code == 200
    assert is_accepted(integration, given["access_token"])


def test_revoking_needs_a_client_and_a_token(api: Api) -> None:
    assert token(api, "oauth/revoke", {"Authorization": ""}, token="x").status_code == 401
    assert token(api, "oauth/revoke").json()["error"] == "invalid_request"


def test_an_expired_token_is_refused_and_deleted_a_day_later(api: Api) -> None:
    api.sql("update dispatcher.tokens set expires_at = now() where client_id = %(id)s", id=api.client.id)
    assert not is_accepted(api, api.token)
    count = "select count(*) from dispatcher.tokens where client_id = %(id)s"

    prune(api.container.storage, api.container.settings.retention_days)
    assert api.sql(count, id=api.client.id) == [(1,)]
    api.sql(
        "update dispatcher.tokens set expires_at = now() - interval '25 h' where client_id = %(id)s", id=api.client.id
    )
    prune(api.container.storage, api.container.settings.retention_days)
    assert api.sql(count, id=api.client.id) == [(0,)]


def test_no_secret_is_stored_as_it_is(integration: Api) -> None:
    given = exchanged(integration, a_code(integration)).json()

    dump = json.dumps(
        integration.sql(
            "select row_to_json(t)::text from dispatcher.tokens t union all select row_to_json(c)::text"
            " from dispatcher.clients c"
        )
    )
    for secret in (integration.secret, integration.token, given["access_token"], given["refresh_token"]):
        assert str(secret) not in dump


def test_the_token_endpoint_needs_a_user_agent_too(api: Api) -> None:
    answer = send(api.server, "POST", "/api/v3/oauth/token", basic(api), b'{"grant_type": "client_credentials"}')

    assert answer.status == 400
    assert answer.json()["error_description"] == 'Required header "User-Agent" is missing'
