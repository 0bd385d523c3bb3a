"""Faults are injected into a cluster of real processes; `FAULTS=long` asks for as many as a night has time for."""

import os
import random

import pytest

from tests.e2e.conftest import (  # noqa: F401 - fixtures
    cluster,
    cluster_options,
    folder,
    mortal_servers,
    programs,
    pytest_runtest_makereport,
    receiver,
)

LONG = os.environ.get("FAULTS") == "long"


def bounded(short: int, long: int) -> int:
    """How many: a few in every run, all of them by `make faults`."""
    return long if LONG else short


@pytest.fixture
def rng() -> random.Random:
    """The same faults every time."""
    return random.Random(20_261_124)
