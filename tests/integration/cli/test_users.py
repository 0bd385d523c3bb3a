"""`dispatcher user`: who may sign in to the console. A password is never printed."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.storage.admin import sessions
from dispatcher.storage.admin.sessions import Person
from dispatcher.storage.engine import Storage, rows
from tests.support.builders import PASSWORDS

PASSWORD = "correct horse battery staple"


@pytest.fixture
def candidate(storage: Storage) -> Callable[..., Any]:
    return lambda name, slug="": storage.transact(sessions.candidate, name, slug)


@pytest.fixture
def sign_in(container: Container, candidate: Callable[..., Any]) -> Callable[..., str]:
    """`sign_in(email)` is what the cookie of a new session of theirs holds; `person_of(cookie)` is who has it."""

    def start(email: str, **where: Any) -> Any:
        of = candidate(email)
        return container.storage.transact(sessions.start, of, container.access.session_idle, **where)

    return start


@pytest.fixture
def person_of(container: Container) -> Callable[[str], Person | None]:
    def find(cookie: str) -> Person | None:
        found = container.storage.transact(sessions.find, cookie, container.access.session_idle)
        return found.person if found is not None else None

    return find


def create(run: Callable[..., Result], *arguments: str, code: int = 0, stdin: str = f"{PASSWORD}\n") -> Result:
    return run("user", "create", *arguments, "--password-stdin", stdin=stdin, code=code)


def test_somebody_of_an_account_may_sign_in(
    run: Callable[..., Result], candidate: Callable[..., Any], account: Account
) -> None:
    said = create(run, "--account", "applecorp", "ann@example.com", "--name", "Ann")

    assert said.stdout == "ann@example.com can sign in to applecorp\n"
    found = candidate("ANN@example.com")
    assert (found.person.full_name, found.person.permission, found.person.account) == ("Ann", "write", account)
    assert PASSWORDS.fits(PASSWORD, found.password_hash)


def test_an_operator_has_no_account(
    run: Callable[..., Result], candidate: Callable[..., Any], account: Account
) -> None:
    assert "see all accounts" in create(run, "--operator", "ops@example.com").stdout

    found = candidate("ops@example.com")
    assert (found.person.account, found.person.permission) == (None, "operator")


def test_the_password_is_typed_twice_and_never_printed(
    run: Callable[..., Result], candidate: Callable[..., Any], account: Account
) -> None:
    said = run("user", "create", "--account", "applecorp", "ann@example.com", "--read-only",
               stdin=f"{PASSWORD}\n{PASSWORD}\n")  # fmt: skip

    assert PASSWORD not in said.output
    assert candidate("ann@example.com").person.may_write is False


def test_people_are_listed(run: Callable[..., Result], run_json: Callable[..., Any], account: Account) -> None:
    create(run, "--account", "applecorp", "ann@example.com")
    create(run, "--operator", "ops@example.com")

    listed = [(one["account_slug"], one["email"], one["permission"]) for one in run_json("user", "list")]
    assert listed == [
        (None, "ops@example.com", "operator"),
        ("applecorp", "applecorp@dispatcher.example", "owner"),
        ("applecorp", "ann@example.com", "write"),
    ]
    assert len(run_json("user", "list", "--account", "applecorp")) == 2
    said = run("user", "list").stdout
    assert "ann@example.com" in said
    assert "argon2" not in said


def test_a_new_password_ends_what_was_signed_in(
    run: Callable[..., Result],
    candidate: Callable[..., Any],
    sign_in: Callable[..., str],
    person_of: Callable[[str], Person | None],
    account: Account,
) -> None:
    create(run, "--account", "applecorp", "ann@example.com")
    create(run, "--operator", "ops@example.com")
    run("user", "password", "--account", "applecorp", "--password-stdin", stdin=f"{PASSWORD}\n")
    others = sign_in("ops@example.com")

    for whose, named in (
        ("ann@example.com", ["ann@example.com"]),
        ("ann@example.com", ["ANN@example.com"]),
        ("applecorp", []),
    ):
        cookie, new = sign_in(whose), f"another password of {named}"
        assert person_of(cookie) == candidate(whose).person

        run("user", "password", "--account", "applecorp", *named, "--password-stdin", stdin=f"{new}\n")

        assert person_of(cookie) is None
        assert person_of(others) is not None
        assert PASSWORDS.fits(new, candidate(whose).password_hash)


def test_whose_password_was_right_until_a_moment_ago_is_not_signed_in(
    container: Container, run: Callable[..., Result], candidate: Callable[..., Any], account: Account
) -> None:
    create(run, "--operator", "ops@example.com")
    old = candidate("ops@example.com")

    run("user", "password", "--operator", "ops@example.com", "--password-stdin", stdin="another password\n")

    assert container.storage.transact(sessions.start, old, container.access.session_idle) is None
    assert (
        container.storage.transact(sessions.start, candidate("ops@example.com"), container.access.session_idle)
        is not None
    )


def test_who_is_deleted_is_signed_out(
    run: Callable[..., Result],
    candidate: Callable[..., Any],
    sign_in: Callable[..., str],
    person_of: Callable[[str], Person | None],
    account: Account,
) -> None:
    create(run, "--operator", "ops@example.com")
    cookie = sign_in("ops@example.com")

    run("user", "delete", "--operator", "ops@example.com")

    assert person_of(cookie) is None
    assert candidate("ops@example.com") is None


def test_sessions_are_listed_and_can_be_ended(
    run: Callable[..., Result],
    run_json: Callable[..., Any],
    sign_in: Callable[..., str],
    person_of: Callable[[str], Person | None],
    account: Account,
) -> None:
    create(run, "--account", "applecorp", "ann@example.com")
    create(run, "--operator", "ops@example.com")
    first, second = sign_in("ann@example.com"), sign_in("ann@example.com", address="192.0.2.7", agent="Browser/1")
    operators = sign_in("ops@example.com")
    assert [one["email"] for one in run_json("user", "sessions")] == [
        "ops@example.com", "ann@example.com", "ann@example.com"
    ]  # fmt: skip
    latest, _ = run_json("user", "sessions", "--account", "applecorp")
    assert (latest["address"], latest["agent"], latest["account_slug"]) == ("192.0.2.7", "Browser/1", "applecorp")
    said = run("user", "sessions").output
    assert "192.0.2.7" in said
    assert not any(cookie in said for cookie in (first, second, operators))

    run("user", "sign-out", "--session", str(latest["id"]))
    assert (person_of(first) is not None, person_of(second)) == (True, None)

    assert "1 session\n" in run("user", "sign-out", "--account", "applecorp", "ANN@example.com").stdout
    assert (person_of(first), person_of(operators) is not None) == (None, True)


def test_what_cannot_be_ended_is_refused(run: Callable[..., Result], account: Account) -> None:
    for arguments, code, said in (
        (["--session", "7"], 1, "session 7 does not exist"),
        (["--session", "7", "ann@example.com"], 2, "cannot be combined"),
        (["--operator"], 2, "Enter an EMAIL"),
        (["--operator", "nobody@example.com"], 1, "has the e-mail"),
        (["nobody@example.com"], 2, "Enter either"),
    ):
        assert said in run("user", "sign-out", *arguments, code=code).stderr


def test_a_session_that_nobody_uses_is_over(
    container: Container,
    run: Callable[..., Result],
    run_json: Callable[..., Any],
    sign_in: Callable[..., str],
    person_of: Callable[[str], Person | None],
    account: Account,
) -> None:
    create(run, "--operator", "ops@example.com")
    cookie = sign_in("ops@example.com")
    last_used = "update dispatcher.sessions set last_used_at = now() - make_interval(secs => %(s)s)"

    container.storage.transact(rows, last_used, s=container.settings.session_idle_s - 30)
    assert person_of(cookie) is not None

    container.storage.transact(rows, last_used, s=container.settings.session_idle_s + 1)
    assert person_of(cookie) is None
    assert run_json("user", "sessions") == []
    sign_in("ops@example.com")
    assert container.storage.transact(rows, "select count(*) from dispatcher.sessions") == [(1,)]


def test_who_cannot_be_is_refused(run: Callable[..., Result], account: Account) -> None:
    for arguments, code, said in (
        (["ann@example.com"], 2, "Enter either --account SLUG or --operator."),
        (["--operator", "--account", "applecorp", "ann@example.com"], 2, "Enter either"),
        (["--account", "applecorp", "ann"], 2, "must be an e-mail address"),
        (["--account", "applecorp", "ann@example.com", "--name", ""], 2, "printable characters"),
        (["--operator", "ann@example.com", "--read-only"], 2, "mutually exclusive"),
        (["--account", "nobody", "ann@example.com"], 1, "does not exist"),
        (["--account", "applecorp", "APPLECORP@dispatcher.example"], 1, "already exists"),
    ):
        assert said in create(run, *arguments, code=code).stderr
    assert "8 to 1024" in create(run, "--operator", "ops@example.com", stdin="short\n", code=1).stderr


def test_nobody_can_be_neither_changed_nor_deleted_and_an_accounts_owner_stays(
    run: Callable[..., Result], account: Account
) -> None:
    for whose in (["--operator"], ["--account", "applecorp"]):
        arguments = [*whose, "nobody@example.com"]
        assert "has the e-mail" in run("user", "delete", *arguments, code=1).stderr
        changed = run("user", "password", *arguments, "--password-stdin", stdin=f"{PASSWORD}\n", code=1)
        assert "has the e-mail" in changed.stderr
    deleted = run("user", "delete", "--account", "applecorp", "applecorp@dispatcher.example", code=1)
    assert "has the e-mail" in deleted.stderr


def test_who_sees_personal_fields(run: Callable[..., Result], candidate: Callable[..., Any], account: Account) -> None:
    create(run, "--operator", "op@example.com")
    assert not candidate("op@example.com").person.sees_personal

    assert run("user", "personal", "--operator", "op@example.com", "--allow").stdout.endswith("sees personal fields\n")
    assert candidate("op@example.com").person.sees_personal
    run("user", "personal", "--operator", "op@example.com")
    assert not candidate("op@example.com").person.sees_personal
    run("user", "personal", "--operator", "nobody@example.com", "--allow", code=1)
