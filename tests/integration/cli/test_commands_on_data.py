"""The `dispatcher` command, in a process like its own: what it prints, and how it fails."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from dispatcher.cli.root import main
from dispatcher.container import Container
from dispatcher.pipeline import first_attempts
from dispatcher.settings import Settings
from tests.support.builders import a_body
from tests.support.fakes import FakeQueue
from tests.support.places import ROOT
from tests.support.receiver import Answer, Authority, Receiver


@pytest.fixture
def hook(run: Callable[..., Result], run_json: Callable[..., Any]) -> dict[str, Any]:
    run("account", "create", "acme")
    return run_json("webhook", "create", "--account", "acme", "--url", "https://a.test/x", "--event", "invoice_paid")


def emitted(run_json: Callable[..., Any], **options: Any) -> Any:
    return run_json("emit", "invoice_paid", "--account", "acme", stdin=json.dumps(a_body()), **options)


@pytest.fixture
def failed(run_json: Callable[..., Any], hook: dict[str, Any], container: Container) -> int:
    """The id of a delivery that has failed."""
    emitted(run_json)
    container.fan_out_runner.run()
    with container.storage.transaction() as connection:
        connection.exec_driver_sql("update dispatcher.deliveries set state = 'failed', finished_on = current_date")
    return run_json("deliveries", "list", "--account", "acme")[0]["id"]


def test_accounts_are_made_and_listed(run: Callable[..., Result], run_json: Callable[..., Any]) -> None:
    made = run_json("account", "create", "acme", "--time-zone", "Europe/Paris")
    assert (made["slug"], made["time_zone"]) == ("acme", "Europe/Paris")

    assert [one["slug"] for one in run_json("account", "list")] == ["acme"]
    assert "acme" in run("account", "list").stdout


def test_a_wrong_argument_is_a_usage_error(run: Callable[..., Result]) -> None:
    for arguments in (["Acme!"], ["acme", "--time-zone", "Mars/Crater"]):
        assert "Error: Invalid value for" in run("account", "create", *arguments, code=2).stderr
    assert "Missing option '--account'" in run("webhook", "list", code=2).stderr


def test_what_is_wrong_is_said_in_one_line(run: Callable[..., Result], hook: dict[str, Any]) -> None:
    for arguments, said in (
        (["webhook", "list", "--account", "nobody"], "account 'nobody' does not exist"),
        (["webhook", "show", "999", "--account", "acme"], "webhook 999 does not exist"),
        (["deliveries", "show", "999"], "delivery '999' does not exist"),
        (["replay", "999"], "delivery '999' does not exist"),
        (["account", "create", "acme"], "account with slug 'acme' already exists"),
        (["webhook", "create", "--account", "acme", "--url", "ftp://a", "--event", "invoice_paid"], "webhook_url "),
        (["webhook", "create", "--account", "acme", "--url", "https://a.test"], "events "),
    ):
        done = run(*arguments, code=1)

        assert (done.stdout, done.stderr.count("\n")) == ("", 1), arguments
        assert done.stderr.startswith("error: ")
        assert said in done.stderr


def test_a_webhook_is_shown_edited_and_deleted(
    run: Callable[..., Result], run_json: Callable[..., Any], hook: dict[str, Any], tmp_path: Path
) -> None:
    name = str(hook["id"])
    assert run_json("webhook", "show", name, "--account", "acme") == hook
    assert hook["signing_secret"].startswith("whsec_")

    edited = run_json("webhook", "edit", name, "--account", "acme", "--inactive", "--auth-header", "Bearer x")
    assert (edited["active"], edited["auth_header"], edited["webhook_url"]) == (False, "Bearer x", hook["webhook_url"])
    assert run_json("webhook", "edit", name, "--account", "acme", "--auth-header", "")["auth_header"] is None

    password = tmp_path / "password"
    password.write_text("s3cret")
    queue = ["--url", "amqps://mq.test/x", "--destination", "routing_key={event}", "--credential", "username=shop"]
    edited = run_json("webhook", "edit", name, "--account", "acme", *queue, "--credential", f"password=@{password}")
    assert (edited["destination"], edited["credentials"]) == (
        {"routing_key": "{event}"},
        {"username": None, "password": None},
    )
    http = ["--url", hook["webhook_url"], "--destination", "", "--credential", ""]
    edited = run_json("webhook", "edit", name, "--account", "acme", *http)
    assert (edited["destination"], edited["credentials"]) == (None, None)

    options = ["--timeout", "2", "--retry-schedule", "60,300", "--success-codes", "2xx,409", "--header", "X-Env: test"]
    edited = run_json("webhook", "edit", name, "--account", "acme", *options, "--secret-header", "X-Key: s3cret")
    set_options = (edited["timeout_s"], edited["retry_schedule"], edited["success_codes"], edited["headers"])
    assert set_options == (2, [60, 300], ["2xx", "409"], {"X-Env": "test"})
    assert edited["secret_headers"] == {"X-Key": None}
    signed = ["--signature-scheme", "v1a", "--signature-scheme", "github", "--signature-header", "X-Acme"]
    edited = run_json("webhook", "edit", name, "--account", "acme", *signed, "--signature-prefix", "svix-")
    assert (edited["signature_schemes"], edited["signature_header"]) == (["v1a", "github"], "X-Acme")
    assert edited["signature_prefixes"] == ["svix-"]
    assert edited["public_key"].startswith("whpk_")
    signed = ["--signature-scheme", "", "--signature-prefix", "", "--signature-header", ""]
    edited = run_json("webhook", "edit", name, "--account", "acme", *signed)
    assert (edited["signature_schemes"], edited["signature_prefixes"]) == (["v1"], ["webhook-"])
    assert edited["signature_header"] is None
    certificate, key = Authority().client("ours.test")
    (tmp_path / "client.pem").write_text(certificate + key)
    (tmp_path / "client.json").write_text(
        '{"token_url": "https://a.test", "client_id": "us", "client_secret": "s3cret"}'
    )
    shown = ["--oauth2", f"@{tmp_path}/client.json", "--client-certificate", str(tmp_path / "client.pem")]
    edited = run_json("webhook", "edit", name, "--account", "acme", *shown)
    assert edited["client_certificate"]["certificate"] == certificate
    assert edited["oauth2"]["client_id"] == "us"
    assert "s3cret" not in str(edited)
    edited = run_json("webhook", "edit", name, "--account", "acme", "--oauth2", "", "--client-certificate", "")
    assert (edited["oauth2"], edited["client_certificate"]) == (None, None)
    chosen = ["--event", "invoice_*", "--only-field", "invoice.number", "--exclude-field", "invoice.note"]
    edited = run_json("webhook", "edit", name, "--account", "acme", *chosen)
    assert (edited["events"], edited["only_fields"]) == (["invoice_*"], ["invoice.number"])
    everything = ["--only-field", "", "--exclude-field", "", "--payload-limit", ""]
    edited = run_json("webhook", "edit", name, "--account", "acme", *everything)
    assert (edited["only_fields"], edited["excluded_fields"], edited["payload_limit"]) == ([], [], None)
    labelled = run_json(
        "webhook", "edit", name, "--account", "acme", "--tag", "eu", "--tag", "b", "--metadata", "crm=4=5"
    )
    assert (labelled["tags"], labelled["metadata"]) == (["eu", "b"], {"crm": "4=5"})
    assert [one["id"] for one in run_json("webhook", "list", "--account", "acme", "--tag", "b")] == [hook["id"]]
    assert run_json("webhook", "list", "--account", "acme", "--tag", "x") == []
    assert run_json("webhook", "edit", name, "--account", "acme", "--tag", "", "--metadata", "")["tags"] == []
    removed = [
        "--timeout",
        "",
        "--retry-schedule",
        "",
        "--success-codes",
        "",
        "--header",
        "",
        "--secret-header",
        "X-Key",
    ]
    edited = run_json("webhook", "edit", name, "--account", "acme", *removed)
    assert edited == {**edited, "timeout_s": None, "retry_schedule": None, "success_codes": None, "headers": {}}
    assert edited["secret_headers"] == {"X-Key": None}

    run("webhook", "delete", name, "--account", "acme")
    assert run_json("webhook", "list", "--account", "acme") == []


def test_an_event_is_emitted_from_standard_input_or_a_file(
    run_json: Callable[..., Any], hook: dict[str, Any], tmp_path: Path
) -> None:
    assert emitted(run_json)["name"] == "invoice_paid"

    (tmp_path / "body.json").write_text(json.dumps(a_body()))
    arguments = ["emit", "invoice_paid", "--account", "acme", "--body", str(tmp_path / "body.json")]
    first = run_json(*arguments, "--idempotency-key", "k")
    again = run_json(*arguments, "--idempotency-key", "k")
    assert (first["new"], again["new"], again["id"]) == (True, False, first["id"])


def test_a_body_that_is_no_event_is_refused(run: Callable[..., Result], hook: dict[str, Any]) -> None:
    for stdin, code in (("{", 2), ("[]", 2), ("", 2), ('{"invoice": {"no_such": 1}, "payment": {}}', 1)):
        run("emit", "invoice_paid", "--account", "acme", stdin=stdin, code=code)
    assert "not an event of the catalogue" in run("emit", "x", "--account", "acme", stdin="{}", code=2).stderr


def test_deliveries_are_listed_shown_and_replayed(
    run: Callable[..., Result], run_json: Callable[..., Any], failed: int
) -> None:
    assert run_json("deliveries", "list", "--account", "acme", "--state", "delivered") == []
    found = run_json("deliveries", "show", str(failed))
    assert found["state"] == "failed"
    assert str(failed) in run("deliveries", "list", "--account", "acme").stdout
    assert "state failed" in run("deliveries", "show", str(failed)).stdout

    assert run_json("replay", str(failed))["state"] == "pending"
    assert "is pending and cannot become pending" in run("replay", str(failed), code=1).stderr


def test_the_status_shows_what_waits(
    run: Callable[..., Result],
    run_json: Callable[..., Any],
    hook: dict[str, Any],
    container: Container,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_attempts, "ROOM", 0)  # a fan-out shall send nothing itself
    emitted(run_json)
    assert run_json("status")["backlog"]["events_waiting"] == 1
    container.fan_out_runner.run()

    found = run_json("status")
    assert (found["backlog"]["events_waiting"], found["backlog"]["due"]) == (0, 1)
    assert "none; no deliveries are sent" in run("status").stdout


def test_operators_reconcile_repair_and_rotate(
    run: Callable[..., Result],
    run_json: Callable[..., Any],
    hook: dict[str, Any],
    container: Container,
    queue: FakeQueue,
) -> None:
    emitted(run_json)
    assert run_json("reconcile") == {"events_waiting": True, "webhook_count": 0}
    assert run_json("repair")["deleted_keys"] >= 0
    assert "secrets of 1 webhooks" in run("secrets", "rotate").stdout
    assert "is at revision" in run("migrate").stdout


def test_a_new_key_is_a_fernet_key(run: Callable[..., Result]) -> None:
    assert len(run("secrets", "generate").stdout.strip()) == 44


def test_every_command_has_help(run: Callable[..., Result]) -> None:
    for name in main.commands:
        assert run(name, "--help").stdout.startswith("Usage: ")


def test_a_webhook_is_pinged_and_its_secret_rotated(run: Callable[..., Result], run_json: Callable[..., Any]) -> None:
    run("account", "create", "acme")
    with Receiver() as receiver:
        receiver.script("/hook", Answer(status=500, body=b"oh"), Answer())
        made = run_json(
            "webhook", "create", "--account", "acme", "--url", receiver.url("/hook"), "--event", "invoice_paid"
        )
        name = str(made["id"])
        assert run("webhook", "ping", name, "--account", "acme").stdout.splitlines()[1] == "oh"
        tested = run_json("webhook", "ping", name, "--account", "acme", "--event", "invoice_paid")
        assert tested["response_status"] == "200"
        assert [one.header("webhook-test") for one in receiver.requests] == [None, "true"]

    rotated = run_json("webhook", "rotate-secret", name, "--account", "acme")
    assert rotated["signing_secret"] != made["signing_secret"]
    assert rotated["signing_secret"] == run_json("webhook", "show", name, "--account", "acme")["signing_secret"]
    ended = run_json("webhook", "rotate-secret", name, "--account", "acme", "--previous-valid-for-s", "0")
    assert ended["previous_valid_until"] is None


def test_a_list_of_webhooks_leaves_their_secrets_out(
    run: Callable[..., Result], run_json: Callable[..., Any], hook: dict[str, Any]
) -> None:
    (listed,) = run_json("webhook", "list", "--account", "acme")

    assert listed == {name: value for name, value in hook.items() if name != "signing_secret"}


def test_status_loads_nothing_of_migrations_passwords_and_the_web(container: Container, settings: Settings) -> None:
    program = """
import sys
from dispatcher.cli.root import main
try:
    main(["status", "--json"], prog_name="dispatcher")
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
    environment = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SECRET_KEYS": settings.secret_keys[0],
    }
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)

    assert json.loads(done.stdout)["backlog"]["due"] == 0
    found = set(done.stderr.split())
    assert "sqlalchemy" in found
    assert found & {"alembic", "argon2", "flask", "pycurl", "requests", "rich", "tornado", "uvicorn"} == set()


def test_a_polled_webhook_has_no_url_and_gets_tokens(
    run: Callable[..., Result], run_json: Callable[..., Any], hook: dict[str, Any]
) -> None:
    made = run_json("webhook", "create", "--account", "acme", "--poll", "--event", "invoice_paid")
    assert (made["delivery"], made["webhook_url"]) == ("poll", "poll:")

    assert run("webhook", "rotate-poll-token", str(made["id"]), "--account", "acme").stdout.startswith("whp_")
    refused = run("webhook", "rotate-poll-token", str(hook["id"]), "--account", "acme", code=1)
    assert "delivery must be poll" in refused.stderr
    assert "--url" in run("webhook", "create", "--account", "acme", "--event", "invoice_paid", code=2).stderr
