"""Django takes psycopg 3 where that is installed, so what it does on psycopg2 is seen by a process without it."""

import subprocess
import sys

from tests.integration.emit.conftest import SERVER
from tests.support.places import ROOT
from tests.support.processes import clean_environment

PROGRAM = """
import sys
sys.modules["psycopg"] = None  # as if it were not installed
import pytest
files = [f"tests/integration/emit/test_{name}.py" for name in ("every_connection", "wrong_connections")]
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "django", *files]))
"""


def test_the_same_holds_for_django_on_psycopg2(migrated_server: str) -> None:
    environment = clean_environment() | {SERVER: migrated_server, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-c", PROGRAM]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout
    assert "failed" not in ended.stdout
