"""The test modules of a run, which each of its processes must have, rewritten for pytest's assertions and compiled."""

import os
from contextlib import suppress
from importlib import import_module

import pytest

from tests.support.places import ROOT


def load_from_another_place(config: pytest.Config) -> None:
    """Imports them, each process of xdist's from another place on: what one comes to later, others have compiled.

    In the same order all would rewrite every module of a fresh checkout, and at the same time.
    """
    process, count = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if process is None or count is None:
        return
    paths = sorted(path for folder in config.args for path in (ROOT / folder).rglob("test_*.py"))
    start = len(paths) * int(process.removeprefix("gw")) // int(count)
    for path in (*paths[start:], *paths[:start]):
        with suppress(Exception):  # pytest, which comes to it next, says what is wrong
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
