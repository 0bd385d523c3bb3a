"""Attacks: what a stranger, a tenant or a receiver may try, as bounded tests against real processes on loopback.

`FAULTS=long` (by `make faults`) tries more of each; `make test` has the short form of every class.
"""

import itertools
from collections.abc import Iterator

import pytest

from dispatcher.container import Container
from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from dispatcher.settings import Settings
from tests.e2e.conftest import (
    cluster,
    cluster_options,
    folder,
    programs,
    pytest_runtest_makereport,
    receiver,
)
from tests.faults.conftest import rng
from tests.support.api import Api, Server, running
from tests.support.builders import SECRET_KEY, an_account
from tests.support.cluster import SLUG
from tests.support.connections import Web
from tests.support.places import a_folder
from tests.support.servers import copy_database, in_database

__all__ = [
    "cluster",
    "cluster_options",
    "folder",
    "programs",
    "pytest_runtest_makereport",
    "receiver",
    "rng",
]

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def web_options() -> dict[str, str]:
    """More variables of the module's `server`."""
    return {"DISPATCHER_WEB_WORKERS": "1"}


@pytest.fixture(scope="module")
def container(mortal_servers: tuple[Postgres, Valkey]) -> Iterator[Container]:
    """A container on the module's own database, which `server` serves."""
    postgres, valkey = mortal_servers
    name = f"attacked_{next(_numbers)}"
    copy_database(postgres.url, name)
    made = Container(
        Settings(
            database_url=in_database(postgres.url, name),
            redis_url=valkey.url,
            broker_url=valkey.url,
            secret_keys=(SECRET_KEY,),
            pool_size=10,
        )
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(container: Container, web_options: dict[str, str]) -> Iterator[Server]:
    """One `dispatcher serve` for all tests of a module; it starts in seconds, not at once."""
    with a_folder() as folder, running(container, folder, **web_options) as made:
        yield made


@pytest.fixture(scope="module")
def web(server: Server, container: Container) -> Web:
    """The server with an honest client, for those who speak to it byte by byte."""
    return Web(server=server, api=Api.of(server, container, an_account(container.storage, SLUG)))
