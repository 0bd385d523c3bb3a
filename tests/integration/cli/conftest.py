"""The `dispatcher` command on this test's servers, in this process."""

import json

import pytest
from click.testing import CliRunner

from dispatcher.cli import main


@pytest.fixture
def run(container, queue, monkeypatch):
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(name, getattr(container.settings, name.lower()))

    def run(*arguments, code=0, stdin=None):
        done = CliRunner().invoke(main, list(arguments), input=stdin, catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture
def run_json(run):
    return lambda *arguments, **options: json.loads(run(*arguments, "--json", **options).stdout)
