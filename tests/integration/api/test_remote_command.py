"""The command on another machine's dispatcher: what it prints is what it prints on the database."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from dispatcher.cli.root import main
from dispatcher.current import use_container
from dispatcher.storage.pipeline import events
from dispatcher.storage.reads.delivery_pages import SCANS
from tests.support.api import Api
from tests.support.builders import a_body, a_history, an_event
from tests.support.receiver import Receiver
from tests.support.replays import step_replays


def run(*arguments: str, code: int = 0, stdin: str | None = None) -> Any:
    done = CliRunner().invoke(main, list(arguments), input=stdin, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


def run_json(*arguments: str, **options: Any) -> Any:
    return json.loads(run(*arguments, "--json", **options).stdout)


@pytest.fixture
def remote(api: Api, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the three variables; nothing else is set, so a command that looked for a database would fail."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DISPATCHER_API", f"{api.server.root}/")
    monkeypatch.setenv("DISPATCHER_CLIENT_ID", api.client.client_id)
    monkeypatch.setenv("DISPATCHER_CLIENT_SECRET", api.secret)
    return monkeypatch


@pytest.fixture
def on_the_database(api: Api, remote: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a command on the database that the API has."""

    def on_the_database(*arguments: str) -> Any:
        with remote.context() as changed:
            changed.delenv("DISPATCHER_API")
            changed.setenv("DATABASE_URL", api.container.settings.database_url)
            changed.setenv("REDIS_URL", api.container.settings.redis_url)
            return run_json(*arguments, "--account", api.account.slug)

    use_container(api.container)
    yield on_the_database
    use_container(None)


@pytest.fixture
def hook(remote: Any) -> Any:
    return run_json("webhook", "create", "--url", "https://a.test/x", "--event", "invoice_paid", "--rate-limit", "5")


@pytest.fixture
def failed(api: Api, hook: Any) -> str:
    """The id of a delivery that has failed."""
    run("emit", "invoice_paid", stdin=json.dumps(a_body()))
    api.container.storage.transact(events.fan_out, 100_000)
    ((id_,),) = api.sql(
        "update dispatcher.deliveries set state = 'failed', finished_on = current_date where webhook_id = %(id)s"
        " returning id",
        id=hook["id"],
    )
    return str(id_)


def test_a_webhook_is_the_same_from_both_sides(hook: Any, on_the_database: Any) -> None:
    name = str(hook["id"])

    assert hook["signing_secret"].startswith("whsec_")
    # Which API v3 does not have.
    of_the_database = {"filter": None, "uid": None, "delivery": "push", "destination": None, "credentials": None}
    assert run_json("webhook", "show", name) == hook
    assert on_the_database("webhook", "show", name) == hook | of_the_database
    assert on_the_database("webhook", "list") == [one | of_the_database for one in run_json("webhook", "list")]


def test_a_webhook_is_edited_and_deleted(hook: Any) -> None:
    name = str(hook["id"])

    edited = run_json("webhook", "edit", name, "--inactive", "--auth-header", "Bearer x", "--description", "ours")
    assert (edited["active"], edited["auth_header"], edited["description"]) == (False, "Bearer x", "ours")
    assert run_json("webhook", "edit", name, "--auth-header", "")["auth_header"] is None
    assert "deleted" in run("webhook", "delete", name).stdout
    assert run_json("webhook", "list") == []


def test_more_webhooks_than_a_page_are_listed(api: Api, hook: Any) -> None:
    for number in range(40):
        api.post("/webhooks.json", json={"webhook_url": f"https://a.test/{number}", "events": ["invoice_paid"]})

    assert len(run_json("webhook", "list")) == 41


def test_a_webhook_is_pinged_and_its_secret_rotated(remote: Any) -> None:
    with Receiver() as receiver:
        made = run_json("webhook", "create", "--url", receiver.url(), "--event", "invoice_paid")
        assert run_json("webhook", "ping", str(made["id"]))["response_status"] == "200"
        assert "200 after" in run("webhook", "ping", str(made["id"])).stdout
        assert len(receiver.wait_for(2)) == 2

    rotated = run_json("webhook", "rotate-secret", str(made["id"]), "--previous-valid-for-s", "60")
    assert rotated["signing_secret"] != made["signing_secret"]
    assert rotated["previous_valid_until"]


def test_deliveries_are_the_same_from_both_sides(failed: str, on_the_database: Any) -> None:
    for arguments in (["deliveries", "list"], ["deliveries", "show", failed], ["deliveries", "list", "--limit", "1"]):
        found = run_json(*arguments)
        assert found
        assert found == on_the_database(*arguments)
    assert run_json("deliveries", "list", "--state", "delivered") == []
    assert "state failed" in run("deliveries", "show", failed).stdout


def test_more_deliveries_than_a_page_are_listed(api: Api, failed: str) -> None:
    api.container.emitter.emit(api.account, [an_event()] * 90)
    api.container.storage.transact(events.fan_out, 100_000)

    ids = [one["id"] for one in run_json("deliveries", "list", "--limit", "85")]
    assert len(ids) == 85
    assert ids == sorted(ids, reverse=True)
    assert len(run_json("deliveries", "list", "--limit", "100")) == 91


def test_a_rare_event_is_found_behind_pages_without_it(api: Api, on_the_database: Any) -> None:
    run("webhook", "create", "--url", "https://a.test/x", "--event", "invoice_paid", "--event", "invoice_sent")
    api.container.emitter.emit(api.account, [an_event("invoice_sent"), an_event()])
    api.container.storage.transact(events.fan_out, 100_000)
    often, rare = (one["id"] for one in run_json("deliveries", "list"))
    a_history(api.container.storage, often, sum(SCANS) + 1_000)

    for found in (run_json, on_the_database):
        (one,) = found("deliveries", "list", "--event", "invoice_sent", "--limit", "2")
        assert one["id"] == rare


def test_a_delivery_is_replayed_once(failed: str) -> None:
    assert run_json("replay", failed)["state"] == "pending"
    assert "is pending and cannot become pending" in run("replay", failed, code=1).stderr


def test_many_are_replayed_and_the_job_is_the_same_from_both_sides(api: Api, failed: str, on_the_database: Any) -> None:
    since = ("--since", "2026-01-01T00:00:00+00:00")
    assert run_json("replay", *since, "--dry-run") == {"matched": 1}
    made = run_json("replay", *since, "--event", "invoice_paid", "--no-wait")
    assert (made["state"], made["matched"]) == ("running", 1)
    name = str(made["id"])

    assert run_json("replay", "--stop", name)["state"] == "stopped"
    assert run_json("replay", "--follow", name) == on_the_database("replay", "--follow", name)
    assert run_json("replay", "--resume", name, "--no-wait")["state"] == "running"
    step_replays(api.container)
    assert run("replay", "--follow", name).stdout == f"replay {name} done: 1 of 1 sent\n"
    assert run_json("replay", "--list") == on_the_database("replay", "--list")
    assert run("replay", "--follow", "999999", code=1).stderr == "error: replay 999999 does not exist\n"
    assert "until must be after since" in run("replay", *since, "--until", since[1], code=1).stderr


def test_an_event_is_emitted_once_for_a_key(remote: Any) -> None:
    def emit() -> Any:
        return run_json("emit", "invoice_paid", "--idempotency-key", "k", stdin=json.dumps(a_body()))

    first, again = emit(), emit()
    assert list(first) == ["id", "name", "created_at", "new"]
    assert (first["new"], again["new"], again["id"]) == (True, False, first["id"])


def test_what_is_wrong_is_said_in_one_line(remote: Any) -> None:
    for arguments, said in (
        (["webhook", "show", "999999"], "webhook 999999 does not exist"),
        (["webhook", "ping", "999999"], "webhook 999999 does not exist"),
        (["deliveries", "show", "999"], "delivery '999' does not exist"),
        (["deliveries", "show", "../../user"], "delivery '../../user' does not exist"),
        (["replay", "999"], "delivery '999' does not exist"),
        (["webhook", "create", "--url", "ftp://a", "--event", "invoice_paid"], "webhook_url is invalid"),
        (["webhook", "create", "--url", "https://a.test"], "events can't be empty"),
        (["webhook", "list", "--account", "somebody-elses"], "The record does not exist (not_found)"),
    ):
        done = run(*arguments, code=1)

        assert (done.stdout, done.stderr.count("\n")) == ("", 1), arguments
        assert done.stderr.startswith(f"error: {said}")


def test_a_body_that_is_no_event_is_refused_by_path(remote: Any) -> None:
    done = run("emit", "invoice_paid", stdin='{"invoice": {"id": "1"}, "payment": {"id": 1}}', code=1)

    assert done.stderr == "error: body.invoice.id not an integer\n"


def test_a_wrong_setting_is_said_in_one_line(remote: Any) -> None:
    for variable, value, said in (
        ("DISPATCHER_API", "http://127.0.0.1:9/api/v3", "http://127.0.0.1:9/api/v3 did not respond: ConnectionError"),
        ("DISPATCHER_API", "ftp://127.0.0.1", "DISPATCHER_API: must begin with https:// or http://"),
        ("DISPATCHER_CLIENT_ID", "", "DISPATCHER_CLIENT_ID: required: the client that commands act as"),
        ("DISPATCHER_CLIENT_SECRET", "wrong", ""),
    ):
        with remote.context() as changed:
            changed.setenv(variable, value)
            done = run("webhook", "list", code=1)

        assert done.stderr.startswith(f"error: {said}"), done.stderr
        assert done.stderr.count("\n") == 1
        assert "(invalid_client)" in done.stderr or said


def test_what_is_no_api_is_said_so(remote: Any) -> None:
    with Receiver() as receiver:
        remote.setenv("DISPATCHER_API", receiver.url())

        assert "responded 200 without JSON; check DISPATCHER_API" in run("webhook", "list", code=1).stderr
