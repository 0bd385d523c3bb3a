"""`dispatcher user`: who may sign in to the console. A password is never printed."""

import pytest

from dispatcher.storage import sessions
from dispatcher.storage.passwords import is_right

PASSWORD = "correct horse battery staple"


@pytest.fixture
def candidates(storage):
    return lambda name, slug="": storage.run(lambda c: sessions.candidates(c, name, slug))


def create(run, *arguments, code=0, stdin=f"{PASSWORD}\n"):
    return run("user", "create", *arguments, "--password-stdin", stdin=stdin, code=code)


def test_somebody_of_an_account_may_sign_in(run, candidates, account):
    said = create(run, "--account", "applecorp", "ann@example.com", "--name", "Ann")

    assert said.stdout == "ann@example.com may sign in to applecorp\n"
    (found,) = candidates("ANN@example.com")
    assert (found.person.full_name, found.person.permission, found.person.account) == ("Ann", "write", account)
    assert is_right(PASSWORD, found.password_hash)


def test_an_operator_has_no_account(run, candidates, account):
    assert "sees all accounts" in create(run, "--operator", "ops@example.com").stdout

    (found,) = candidates("ops@example.com")
    assert (found.person.account, found.person.permission) == (None, "operator")


def test_the_password_is_typed_twice_and_never_printed(run, candidates, account):
    said = run("user", "create", "--account", "applecorp", "ann@example.com", "--read-only",
               stdin=f"{PASSWORD}\n{PASSWORD}\n")  # fmt: skip

    assert PASSWORD not in said.output
    assert candidates("ann@example.com")[0].person.may_write is False


def test_people_are_listed(run, run_json, account):
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


def test_a_new_password_ends_what_was_signed_in(run, storage, candidates, account):
    create(run, "--account", "applecorp", "ann@example.com")
    (found,) = candidates("ann@example.com")
    token, _ = storage.run(lambda c: sessions.start(c, found.person.user_id))
    assert storage.run(lambda c: sessions.find(c, token)) == found.person

    run("user", "password", "--account", "applecorp", "ann@example.com", "--password-stdin", stdin="another password\n")

    assert storage.run(lambda c: sessions.find(c, token)) is None
    assert is_right("another password", candidates("ann@example.com")[0].password_hash)


def test_who_is_deleted_is_signed_out(run, storage, candidates, account):
    create(run, "--operator", "ops@example.com")
    token, _ = storage.run(lambda c: sessions.start(c, candidates("ops@example.com")[0].person.user_id))

    run("user", "delete", "--operator", "ops@example.com")

    assert storage.run(lambda c: sessions.find(c, token)) is None
    assert candidates("ops@example.com") == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ann@example.com"], 2, "Give one of --account SLUG and --operator."),
        (["--operator", "--account", "applecorp", "ann@example.com"], 2, "Give one of"),
        (["--account", "applecorp", "ann"], 2, "must be an e-mail address"),
        (["--account", "applecorp", "ann@example.com", "--name", ""], 2, "printable characters"),
        (["--operator", "ann@example.com", "--read-only"], 2, "exclude each other"),
        (["--account", "nobody", "ann@example.com"], 1, "does not exist"),
        (["--account", "applecorp", "APPLECORP@dispatcher.example"], 1, "is there already"),
    ],
)
def test_who_cannot_be_is_refused(run, account, arguments, code, said):
    assert said in create(run, *arguments, code=code).stderr


def test_a_short_password_is_refused(run, account):
    assert "8 to 1024" in create(run, "--operator", "ops@example.com", stdin="short\n", code=1).stderr


@pytest.mark.parametrize("whose", [["--operator"], ["--account", "applecorp"]])
def test_nobody_can_be_neither_changed_nor_deleted(run, account, whose):
    arguments = [*whose, "nobody@example.com"]
    assert "with the e-mail" in run("user", "delete", *arguments, code=1).stderr
    assert "with the e-mail" in run(
        "user", "password", *arguments, "--password-stdin", stdin=f"{PASSWORD}\n", code=1
    ).stderr  # fmt: skip


def test_an_accounts_owner_stays(run, account):
    assert (
        "with the e-mail"
        in run("user", "delete", "--account", "applecorp", "applecorp@dispatcher.example", code=1).stderr
    )
