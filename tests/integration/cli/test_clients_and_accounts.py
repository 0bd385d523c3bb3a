"""`dispatcher client` and `dispatcher account`: who may call the API, and who may agree."""

import json
from collections.abc import Callable
from typing import Any

from click.testing import Result

from dispatcher.model.account import Account
from dispatcher.storage.admin import clients, portal_sessions, tokens, users, webhooks
from dispatcher.storage.admin.clients import SCOPES, Client
from dispatcher.storage.admin.tokens import Grant
from dispatcher.storage.engine import Connection, Storage, rows
from tests.support.builders import PASSWORDS, a_webhook, an_account


def hash_of_owner(storage: Storage, account: Account) -> str | None:
    sql = "select password_hash from dispatcher.users where account_id = %(id)s and permission = 'owner'"
    return storage.transact(rows, sql, id=account.id)[0][0]


def test_an_account_comes_with_its_owner(run: Callable[..., Result], run_json: Callable[..., Any]) -> None:
    made = run_json("account", "create", "acme", "--owner-email", "ann@example.com", "--owner-name", "Ann Novák")
    assert made["owner"] == {"email": "ann@example.com", "full_name": "Ann Novák"}
    assert run_json("account", "create", "apple")["owner"] == {
        "email": "apple@dispatcher.example",
        "full_name": "apple",
    }

    listed = run_json("account", "list")
    assert [one["slug"] for one in listed] == ["acme", "apple"]
    assert listed[0] == made
    assert "ann@example.com" in run("account", "list").stdout


def test_a_portal_is_framed_and_themed_and_opened_by_a_link(
    run: Callable[..., Result], run_json: Callable[..., Any], storage: Storage, account: Account
) -> None:
    portal = ("account", "portal", "applecorp")
    run_json(*portal, "--frame-ancestor", "https://app.example", "--company", "Apple", "--accent", "#1f5f8b")
    changed = run_json(*portal, "--accent", "", "--logo-url", "https://cdn.example/logo.png")
    assert changed == {
        "frame_ancestors": ["https://app.example"],
        "theme": {"company": "Apple", "logo_url": "https://cdn.example/logo.png"},
    }
    assert run_json(*portal) == changed
    assert "portal must be origins" in run(*portal, "--frame-ancestor", "app.example", code=1).stderr
    assert run_json(*portal, "--frame-ancestor", "")["frame_ancestors"] == []

    made = run_json("portal-link", "applecorp", "--role", "manage", "--expires-in", "600", "--label", "support")
    url, _, token = made["url"].partition("?token=")
    assert (url, made["role"]) == ("http://127.0.0.1:8000/portal/enter", "manage")
    started = storage.transact(portal_sessions.start, token)
    assert started is not None
    assert (started[0].account.id, started[0].label) == (account.id, "support")
    assert run("portal-link", "applecorp").stdout.startswith("http://127.0.0.1:8000/portal/enter?token=")
    assert run("portal-link", "applecorp", "--revoke").stdout == "links and sessions of applecorp ended: 2\n"
    run("portal-link", "applecorp", "--revoke", "--role", "read", code=2)
    assert "does not exist" in run("portal-link", "nobody", code=1).stderr


def test_an_owner_who_cannot_be_is_refused(run: Callable[..., Result]) -> None:
    wrong = (("--owner-email", "ann"), ("--owner-email", "a@b c"), ("--owner-name", ""), ("--owner-name", "a\nb"))
    for option in wrong:
        run("account", "create", "acme", *option, code=2)


def test_an_account_and_its_owner_are_changed_where_something_is_given(
    run: Callable[..., Result], run_json: Callable[..., Any], storage: Storage, account: Account
) -> None:
    before = run_json("account", "list")[0]

    changed = run_json("account", "edit", "applecorp", "--owner-email", "ann@example.com")
    assert changed == before | {"owner": {"email": "ann@example.com", "full_name": "applecorp"}}
    said = run("account", "edit", "applecorp", "--owner-name", "Ann Novák", "--time-zone", "UTC").stdout

    assert said == "account applecorp changed: time zone UTC, owner Ann Novák ann@example.com\n"
    (after,) = run_json("account", "list")
    assert after == changed | {"time_zone": "UTC", "owner": {"email": "ann@example.com", "full_name": "Ann Novák"}}
    assert storage.transact(rows, "select updated_at > created_at from dispatcher.accounts") == [(True,)]


def test_a_change_that_cannot_be_is_refused_and_changes_nothing(
    run: Callable[..., Result], run_json: Callable[..., Any], storage: Storage, account: Account
) -> None:
    storage.transact(users.create, account.id, email="r@X.cz", full_name="R", permission="read", password_hash="x")
    before = run_json("account", "list")

    for arguments, code, said in (
        (["applecorp"], 2, "Nothing to change"),
        (["applecorp", "--owner-email", "ann"], 2, "must be an e-mail address"),
        (["applecorp", "--time-zone", "Prague"], 2, "IANA"),
        (["applecorp", "--owner-email", "R@x.cz"], 1, "already exists"),
        (["nobody", "--owner-name", "Ann"], 1, "does not exist"),
    ):
        assert said in run("account", "edit", *arguments, code=code).stderr
    assert run_json("account", "list") == before


def test_a_password_is_typed_twice_read_or_made_up(
    run: Callable[..., Result], storage: Storage, account: Account
) -> None:
    words = ["first password", "second password"]

    said = run("user", "password", "--account", "applecorp", stdin=f"{words[0]}\n{words[0]}\n")
    assert words[0] not in said.output
    assert PASSWORDS.fits(words[0], hash_of_owner(storage, account))

    run("user", "password", "--account", "applecorp", "--password-stdin", stdin=f"{words[1]}\n")
    assert PASSWORDS.fits(words[1], hash_of_owner(storage, account))
    assert not PASSWORDS.fits(words[0], hash_of_owner(storage, account))

    made = run("user", "password", "--account", "applecorp", "--generate").stdout.strip()
    assert len(made) >= 24
    assert PASSWORDS.fits(made, hash_of_owner(storage, account))


def test_of_somebody_else_in_the_account_too(run: Callable[..., Result], storage: Storage, account: Account) -> None:
    storage.transact(
        rows,
        "insert into dispatcher.users (account_id, email, full_name, permission)"
        " values (%(id)s, 'R@x.cz', 'R', 'read')",
        id=account.id,
    )

    assert "password of R@x.cz set" in run(
        "user", "password", "--account", "applecorp", "r@X.cz", "--password-stdin", stdin="long enough\n"
    ).stdout  # fmt: skip
    assert hash_of_owner(storage, account) is None


def test_a_password_that_cannot_be_is_refused(run: Callable[..., Result], account: Account) -> None:
    no_user = "No user of account 'applecorp' has the e-mail"
    for arguments, stdin, said in (
        (["applecorp", "--password-stdin"], "short\n", "8 to 1024 characters"),
        (["applecorp", "--password-stdin"], "", "8 to 1024 characters"),
        (["applecorp", "--password-stdin", "no@x.cz"], "long enough\n", no_user),
        (["nobody", "--generate"], "", "does not exist"),
    ):
        assert said in run("user", "password", "--account", *arguments, stdin=stdin, code=1).stderr


def test_a_client_is_made_with_a_secret_that_is_seen_once(
    run: Callable[..., Result], run_json: Callable[..., Any], storage: Storage, account: Account
) -> None:
    made = run_json("client", "create", "--account", "applecorp")

    assert list(made)[:2] == ["client_id", "client_secret"]
    assert {len(made["client_id"]), len(made["client_secret"])} == {40}
    assert (made["account"], made["name"], made["redirect_uris"]) == ("applecorp", "applecorp", [])
    assert made["scopes"] == list(SCOPES)
    assert storage.transact(clients.authenticate, made["client_id"], made["client_secret"]) is not None
    assert storage.transact(clients.authenticate, made["client_id"], made["client_id"]) is None
    assert made["client_secret"] not in run("client", "list").stdout + json.dumps(run_json("client", "list"))
    assert made["client_id"] in run("client", "list").stdout


def test_a_client_may_be_an_integration_and_may_less(
    run: Callable[..., Result], run_json: Callable[..., Any], account: Account
) -> None:
    said = run(
        "client", "create", "--account", "applecorp", "--name", "Books", "--redirect-uri", "https://a.cz/cb?x=1",
        "--redirect-uri", "http://127.0.0.1:9/cb", "--scope", "deliveries", "--scope", "webhooks",
    ).stdout  # fmt: skip

    assert "https://a.cz/cb?x=1 http://127.0.0.1:9/cb" in said
    (listed,) = run_json("client", "list", "--account", "applecorp")
    assert (listed["name"], listed["scopes"], listed["revoked_at"]) == ("Books", ["webhooks", "deliveries"], None)
    assert listed["redirect_uris"] == ["https://a.cz/cb?x=1", "http://127.0.0.1:9/cb"]
    assert "authorization code" in run("client", "list").stdout
    assert run_json("client", "list", "--account", "other") == []


def test_a_redirect_uri_that_may_not_be_is_refused(run: Callable[..., Result], account: Account) -> None:
    for uri in (
        "http://localhost/cb",
        "https://LOCALHOST:8080/cb",
        "http://app.localhost/",
        "http://localhost./",
        "https://a.cz/#fragment",
        "ftp://a.cz/",
        "javascript:alert(1)",
        "/cb",
        "https://",
        "https://user@a.cz/",
        "https://a.cz:0/",
        "https://a.cz:99999/",
        "https://[::1/",
        "https://a.cz;b/",
        "https://a.cz/ x",
        'https://a.cz/"',
        "https://á.cz/",
        "https://a.cz/" + "x" * 3_000,
    ):
        done = run("client", "create", "--account", "applecorp", "--redirect-uri", uri, code=1)

        assert done.stderr.startswith("error: redirect URI: "), uri


def test_other_wrong_clients_are_refused(run: Callable[..., Result], account: Account) -> None:
    run("client", "create", "--account", "applecorp", "--scope", "everything", code=2)
    assert "name: must have" in run("client", "create", "--account", "applecorp", "--name", "", code=1).stderr
    assert "does not exist" in run("client", "create", "--account", "nobody", code=1).stderr


def test_revoking_a_client_ends_its_tokens_its_webhooks_and_what_waits(
    run: Callable[..., Result], run_json: Callable[..., Any], storage: Storage, account: Account
) -> None:
    other = an_account(storage, "other")
    made = run_json("client", "create", "--account", "applecorp")
    client: Any = storage.transact(clients.find, made["client_id"])
    theirs = [a_webhook(storage, one, client_id=client.id) for one in (account, other)]
    kept = a_webhook(storage, account)
    token = storage.transact(_a_token, client, account)
    for webhook in (*theirs, kept):
        storage.transact(lambda c, id_=webhook.id: rows(c, _PENDING, id=id_))

    assert "2 of its webhooks deleted" in run("client", "revoke", made["client_id"]).stdout

    assert storage.transact(tokens.callers, [token]) == [None]
    assert storage.transact(clients.authenticate, made["client_id"], made["client_secret"]) is None
    left = storage.transact(lambda c: [one.id for one in webhooks.list_for_account(c, storage.secrets, account.id)])
    assert left == [kept.id]
    states = storage.transact(rows, "select webhook_id, state from dispatcher.deliveries order by 1")
    assert states == [(theirs[0].id, "cancelled"), (theirs[1].id, "cancelled"), (kept.id, "pending")]
    assert run_json("client", "list")[0]["revoked_at"] is not None
    assert "was revoked" in run("client", "revoke", made["client_id"], code=1).stderr


def test_an_unknown_client_cannot_be_revoked(run: Callable[..., Result], account: Account) -> None:
    assert "does not exist" in run("client", "revoke", "0" * 40, code=1).stderr


_PENDING = """
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key)
values (nextval('dispatcher.delivery_id'), %(id)s, %(id)s, gen_random_uuid())
"""


def _a_token(connection: Connection, client: Client, account: Account) -> str:
    owner, token = users.list_for_account(connection, account.id)[0], tokens.new_token()
    grant = Grant(client_id=client.id, account_id=account.id, user_id=owner.id, scopes=client.scopes)
    tokens.add(connection, "access", token, grant)
    return token
