"""`dispatcher service-token`: what acts for all accounts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from click.testing import Result

from dispatcher.storage.admin import service_tokens
from dispatcher.storage.admin.service_tokens import FULL
from dispatcher.storage.engine import Storage


def test_a_token_is_created_listed_rotated_and_revoked(
    run: Callable[..., Result], run_json: Callable[..., Any], storage: Storage
) -> None:
    created = run_json("service-token", "create", "--name", "billing", "--scope", "accounts", "--expires-in-days", "90")
    assert created["token"].startswith("whd_")
    assert (created["name"], created["scopes"]) == ("billing", ["accounts"])

    edited = run_json("service-token", "edit", str(created["id"]), "--requests-per-minute", "50")
    assert (edited["requests_per_minute"], edited["emits_per_minute"]) == (50, None)
    rotated = run_json("service-token", "rotate", str(created["id"]), "--overlap-hours", "1")
    old, new = run_json("service-token", "list")
    assert (old["id"], new["id"]) == (created["id"], rotated["id"])
    assert new["requests_per_minute"] == 50
    assert (
        run_json("service-token", "edit", str(new["id"]), "--requests-per-minute", "0")["requests_per_minute"] is None
    )
    assert datetime.fromisoformat(old["expires_at"]) - datetime.now().astimezone() < timedelta(hours=1)
    assert all(storage.read(service_tokens.live, [created["token"], rotated["token"]]))

    said = run("service-token", "revoke", str(rotated["id"])).stdout
    assert said == f"service token {rotated['id']} revoked\n"
    assert storage.read(service_tokens.live, [rotated["token"]]) == [None]


def test_a_token_may_do_everything_and_lives_on_unless_told_otherwise(run_json: Callable[..., Any]) -> None:
    created = run_json("service-token", "create", "--name", "billing")

    assert (created["scopes"], created["expires_at"]) == (list(FULL), None)
    read_only = run_json("service-token", "create", "--name", "reports", "--read-only")
    assert all(scope.endswith(":read") for scope in read_only["scopes"])


def test_mistakes_are_one_line(run: Callable[..., Result]) -> None:
    assert "service token 7 does not exist" in run("service-token", "revoke", "7", code=1).stderr
    assert "name: must have" in run("service-token", "create", "--name", "", code=1).stderr
    run("service-token", "create", "--name", "x", "--scope", "all", code=2)
    run("service-token", "create", "--name", "x", "--scope", "users", "--read-only", code=2)
