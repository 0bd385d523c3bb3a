"""A command loads what it needs and no more: help is there at once."""

import subprocess
import sys

import click

from dispatcher.cli.root import _COMMANDS, main
from tests.support.cases import each
from tests.support.places import ROOT

HEAVY = {
    "alembic", "argon2", "celery", "flask", "kombu", "marshmallow", "psycopg2", "pycurl", "redis",
    "requests", "rich", "sqlalchemy", "tornado", "uvicorn",
}  # fmt: skip
PROGRAM = """
import sys
from dispatcher.cli.root import main
try:
    main(sys.argv[1:], prog_name="dispatcher")
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def loaded_by(*arguments: str) -> set[str]:
    """The packages that a process has loaded once it has run the command."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@each("arguments", [["--help"], ["--version"], ["flower", "--help"]])
def test_help_loads_none_of_the_heavy_libraries(arguments: list[str]) -> None:
    assert loaded_by(*arguments) & HEAVY == set()


def test_help_on_deliveries_loads_no_database() -> None:
    assert loaded_by("deliveries", "list", "--help") & (HEAVY - {"marshmallow"}) == set()


@each("name", _COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)

    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=200) == _COMMANDS[name][1]
