"""The `dispatcher` command on this test's servers, in this process."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dispatcher.cli.root import main
from dispatcher.container import Container
from tests.support.fakes import FakeQueue


@pytest.fixture
def run(container: Container, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(name, getattr(container.settings, name.lower()))

    def run(*arguments: str, code: int = 0, stdin: str | None = None) -> Result:
        done = CliRunner().invoke(main, list(arguments), input=stdin, catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture
def run_json(run: Callable[..., Result]) -> Callable[..., Any]:
    return lambda *arguments, **options: json.loads(run(*arguments, "--json", **options).stdout)
