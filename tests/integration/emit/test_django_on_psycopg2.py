"""Django takes psycopg 3 where that is installed, so what it does on psycopg2 is seen by a process without it."""

import subprocess
import sys

from tests.support.places import ROOT

PROGRAM = """
import sys
sys.modules["psycopg"] = None  # as if it were not installed
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "django", "tests/integration/emit", "--deselect", THIS]))
"""


def test_the_same_holds_for_django_on_psycopg2() -> None:
    this = "tests/integration/emit/test_django_on_psycopg2.py"
    program = PROGRAM.replace("THIS", repr(this))
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout
    assert "failed" not in ended.stdout
