"""The environment variables of this process: no other module reads or changes them.

An empty variable (`X=` in an .env file) is one that is not set.
"""

import os
import sys
from collections.abc import Mapping


def variable(name: str) -> str:
    """The value of a variable, without blanks around it; empty where it is not set."""
    return os.environ.get(name, "").strip()


def set_variables(values: Mapping[str, str]) -> None:
    """Sets variables for this process and those it starts."""
    os.environ.update(values)


def set_unset_variables(values: Mapping[str, str]) -> None:
    """As `set_variables`, but one that is set already stays."""
    set_variables({name: value for name, value in values.items() if not variable(name)})


def program_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """`variables`, or this process's, with which our programs are found without an activated venv and print by line."""
    from pathlib import Path  # noqa: PLC0415 -- a process that emits does without it

    base = os.environ if variables is None else variables
    programs, path = str(Path(sys.executable).parent), base.get("PATH", "")
    if path.split(os.pathsep)[0] != programs:
        path = os.pathsep.join(filter(None, (programs, path)))
    return {**base, "PATH": path, "PYTHONUNBUFFERED": "1"}
