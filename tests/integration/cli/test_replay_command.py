"""`dispatcher replay --since ...`: a job is made, followed, left, stopped and let go on."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dispatcher.cli import replays
from dispatcher.cli.root import main
from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.storage.engine import Storage
from tests.support.builders import a_webhook, an_event
from tests.support.fakes import FakeQueue
from tests.support.replays import step_replays

SINCE = ("--since", "2026-01-01T00:00:00+00:00")


@pytest.fixture
def run(
    container: Container, queue: FakeQueue, account: Account, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(name, getattr(container.settings, name.lower()))

    def run(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(main, ["replay", *arguments], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    return run


def execute(connection: Any, sql: str) -> None:
    connection.exec_driver_sql(sql)


@pytest.fixture
def worker(container: Container, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Works while the command waits, and notes how often that was."""
    waits: list[float] = []

    def work(seconds: float) -> None:
        waits.append(seconds)
        step_replays(container)
        container.storage.transact(execute, _DELIVERED)

    monkeypatch.setattr("time.sleep", work)
    return waits


_DELIVERED = (
    "update dispatcher.deliveries set state = 'delivered', finished_on = current_date where finished_on is null"
)
_FAILED = "update dispatcher.deliveries set state = 'failed', finished_on = current_date"


@pytest.fixture
def failed(container: Container, storage: Storage, account: Account) -> str:
    """25 deliveries of one webhook that have failed; its id."""
    webhook = a_webhook(storage, account)
    container.emitter.emit("applecorp", [an_event() for _ in range(25)])
    container.fan_out_runner.run()
    storage.transact(execute, _FAILED)
    return str(webhook.id)


def test_one_that_was_redelivered_as_often_as_is_allowed_is_refused(
    run: Callable[..., Result], container: Container, failed: str
) -> None:
    container.storage.transact(execute, "update dispatcher.deliveries set redelivery_count = 100")

    assert "delivery 1 is failed and cannot become pending: it was redelivered 100 times" in run("1", code=1).stderr


def test_it_is_followed_line_by_line_until_it_is_done(
    run: Callable[..., Result], failed: str, worker: list[float]
) -> None:
    said = run("--account", "applecorp", *SINCE).stdout

    assert said.splitlines() == [
        "replay 1 running: 0 of 25 sent",
        "replay 1 running: 10 of 25 sent",
        "replay 1 running: 20 of 25 sent",
        "replay 1 done: 25 of 25 sent",
    ]


def test_as_json_each_line_is_a_document(run: Callable[..., Result], failed: str, worker: list[float]) -> None:
    lines = [json.loads(line) for line in run("--account", "applecorp", *SINCE, "--json").stdout.splitlines()]

    assert [(one["state"], one["sent"], one["matched"]) for one in lines] == [
        ("running", 0, 25),
        ("running", 10, 25),
        ("running", 20, 25),
        ("done", 25, 25),
    ]


def test_on_a_terminal_there_is_a_bar(
    run: Callable[..., Result], failed: str, worker: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(replays._Bar, "show", lambda self, found: drawn.append((found["sent"], found["state"])))
    monkeypatch.setattr(replays, "is_terminal", lambda: True)
    run("--account", "applecorp", *SINCE)

    assert drawn[-1] == (25, "done")


def test_a_dry_run_tells_the_number(run: Callable[..., Result], failed: str, worker: list[float]) -> None:
    assert run("--account", "applecorp", *SINCE, "--dry-run").stdout == "25 deliveries would be replayed\n"
    assert json.loads(run("--account", "applecorp", *SINCE, "--dry-run", "--json").stdout) == {"matched": 25}
    assert run("--account", "applecorp", "--list").stdout == "no replays\n"
    assert worker == []


def test_what_is_asked_for_is_what_is_replayed(run: Callable[..., Result], failed: str, worker: list[float]) -> None:
    options = ("--webhook", failed, "--event", "invoice_paid", "--event", "invoice_sent", "--state", "failed",
               "--state", "delivered", "--until", "2026-01-02T00:00:00Z", "--rate", "7", "--new-key")  # fmt: skip
    made = json.loads(run("--account", "applecorp", *SINCE, *options, "--no-wait", "--json").stdout)

    assert made["event_names"] == ["invoice_paid", "invoice_sent"]
    assert (made["webhook_id"], made["states"], made["rate"]) == (int(failed), ["failed", "delivered"], 7)
    assert (made["new_key"], made["missed"], made["matched"], made["state"]) == (True, False, 0, "done")
    assert made["until"] == "2026-01-02T01:00:00.000+01:00"
    missed = run("--account", "applecorp", *SINCE, "--webhook", failed, "--missed", "--no-wait", "--json").stdout
    assert json.loads(missed)["missed"] is True


def test_with_ctrl_c_it_goes_on_and_says_how_to_follow_or_stop_it(
    run: Callable[..., Result], container: Container, failed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    done = run("--account", "applecorp", *SINCE, code=130)

    assert done.stderr == (
        "replay 1 continues. Follow it: dispatcher replay --account applecorp --follow 1;"
        " stop it: dispatcher replay --account applecorp --stop 1\n"
    )
    assert step_replays(container).sent == 10


def test_it_is_followed_stopped_let_go_on_and_listed(
    run: Callable[..., Result], container: Container, failed: str, worker: list[float]
) -> None:
    run("--account", "applecorp", *SINCE, "--no-wait")
    step_replays(container)
    assert run("--stop", "1").stdout == "replay 1 stopped: 10 of 25 sent\n"
    assert run("--follow", "1").stdout == "replay 1 stopped: 10 of 25 sent\n"
    listed = json.loads(run("--account", "applecorp", "--list", "--json").stdout)
    assert [(one["id"], one["state"]) for one in listed] == [(1, "stopped")]
    assert "stopped" in run("--account", "applecorp", "--list").stdout

    container.storage.transact(execute, _DELIVERED)
    assert run("--resume", "1").stdout.splitlines()[-1] == "replay 1 done: 25 of 25 sent"


def test_a_wrong_use_is_a_usage_error(run: Callable[..., Result]) -> None:
    wrong: list[tuple[Sequence[str], str]] = [
        ([], "Missing argument 'DELIVERY', or option '--since'."),
        (["7", *SINCE], "DELIVERY and --since are mutually exclusive."),
        (["--follow", "1", "--stop", "1"], "--follow and --stop are mutually exclusive."),
        (["7", "--rate", "5"], "Options that select deliveries require --since."),
        (["--list", "--dry-run"], "Options that select deliveries require --since."),
        (SINCE, "Missing option '--account'."),
        (["--account", "applecorp", *SINCE, "--state", "pending"], "Invalid value for '--state'"),
        (["--account", "applecorp", *SINCE, "--event", "invoice_eaten"], "Invalid value for '--event'"),
    ]
    for arguments, said in wrong:
        assert said in run(*arguments, code=2).stderr


def test_what_is_refused_is_said_in_one_line(run: Callable[..., Result]) -> None:
    for arguments, said in (
        (["--account", "nobody", *SINCE], "account 'nobody' does not exist"),
        (["--account", "applecorp", "--since", "noon"], "since not a date and time"),
        (["--account", "applecorp", *SINCE, "--until", "2025-01-01T00:00Z"], "until must be after since"),
        (["--account", "applecorp", *SINCE, "--rate", "0"], "rate must be greater than 0"),
        (["--account", "applecorp", *SINCE, "--webhook", "99"], "webhook_id does not exist"),
        (["--account", "applecorp", *SINCE, "--missed"], "webhook_id can't be blank"),
        (["--follow", "99"], "replay 99 does not exist"),
        (["--stop", "99"], "replay 99 does not exist"),
        (["--resume", "99", "--account", "applecorp"], "replay 99 does not exist"),
    ):
        done = run(*arguments, code=1)

        assert (done.stdout, done.stderr.count("\n")) == ("", 1), arguments
        assert done.stderr.startswith(f"error: {said}")
