"""The `dispatcher` command, which needs the extra `server`."""

import sys
from importlib.util import find_spec
from typing import Any


def main(*args: Any, **options: Any) -> Any:
    """Runs it as click runs a command; one line says what to install where only the core is."""
    try:
        from dispatcher.cli.root import main as command  # noqa: PLC0415 -- where it is missing, that is said

        return command(*args, **options)
    except ModuleNotFoundError as error:
        if find_spec("celery"):
            raise
        sys.exit(f"error: {error.name} is not installed; the command needs: pip install 'webhook-dispatcher[server]'")
