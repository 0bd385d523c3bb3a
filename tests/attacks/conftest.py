"""Attacks: what a stranger, a tenant or a receiver may try, as bounded tests against real processes on loopback.

`FAULTS=long` (by `make faults`) tries more of each; `make test` has the short form of every class.
"""

from collections.abc import Iterator

import pytest

from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from tests.e2e.conftest import (
    a_cluster,
    cluster,
    cluster_options,
    folder,
    mortal_servers,
    programs,
    pytest_runtest_makereport,
    receiver,
)
from tests.faults.conftest import rng
from tests.support import connections
from tests.support.connections import Web
from tests.support.places import a_folder

__all__ = [
    "cluster",
    "cluster_options",
    "folder",
    "mortal_servers",
    "programs",
    "pytest_runtest_makereport",
    "receiver",
    "rng",
]


@pytest.fixture(scope="module")
def web_options() -> dict[str, str]:
    """More variables of the module's `web`."""
    return {}


@pytest.fixture(scope="module")
def web(mortal_servers: tuple[Postgres, Valkey], web_options: dict[str, str]) -> Iterator[Web]:
    """One `dispatcher serve` for all tests of a module; it starts in seconds, not at once."""
    with a_folder() as made:
        attacked = a_cluster(mortal_servers, made)
        yield connections.started(attacked, **web_options)
        attacked.close()
