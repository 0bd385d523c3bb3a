"""A `dispatcher serve` that a module attacks: its own database, two processes as they come, and a way in.

Import the fixtures `container` and `web` to use them.
"""

import http.client
import itertools
import math
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from dispatcher.container import Container
from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from dispatcher.settings import Settings
from tests.support.api import Server, running
from tests.support.builders import SECRET_KEY
from tests.support.places import a_folder
from tests.support.servers import TEMPLATE, execute, in_database

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def container(mortal_servers: tuple[Postgres, Valkey]) -> Iterator[Container]:
    """A container on the database that `web` serves."""
    postgres, valkey = mortal_servers
    name = f"attacked_{next(_numbers)}"
    execute(postgres.url, f"create database {name} template {TEMPLATE}")
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
def web(container: Container) -> Iterator[Server]:
    with a_folder() as folder, running(container, folder) as server:
        yield server


def timed_get(server: Server, path: str) -> float:
    """Seconds until a new connection has the whole answer, which is 200."""
    began_s = time.monotonic()
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    assert answer.status == 200, answer.status
    return time.monotonic() - began_s


def p95(seconds: list[float]) -> float:
    """Of 20, the second longest."""
    return sorted(seconds)[math.ceil(len(seconds) * 0.95) - 1]
