"""Servers that a test may kill, and a cluster on them for each test. A failure shows the processes' logs."""

import itertools
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from dispatcher.current import use_container
from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from dispatcher.processes import child
from tests.support import wheels
from tests.support.cluster import Cluster
from tests.support.places import ROOT, a_folder
from tests.support.processes import Program
from tests.support.receiver import Receiver
from tests.support.servers import TEMPLATE, copy_database, in_database, resume

_numbers = itertools.count(1)


@pytest.fixture
def folder() -> Iterator[Path]:
    with a_folder() as made:
        yield made


@pytest.fixture
def cluster_options() -> dict[str, str]:
    """REDIS_URL and BROKER_URL of the cluster, for modules whose are not the mortal Valkey."""
    return {}


def used(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster's container are this process's while the test runs."""
    use_container(cluster.container)
    yield cluster
    use_container(None)
    cluster.close()


@pytest.fixture
def cluster(
    mortal_servers: tuple[Postgres, Valkey], folder: Path, cluster_options: dict[str, str]
) -> Iterator[Cluster]:
    yield from used(a_cluster(mortal_servers, folder, **cluster_options))


def a_cluster(
    servers: tuple[Postgres, Valkey],
    folder: Path,
    before: Callable[[str, Valkey], None] | None = None,
    /,
    **options: str,
) -> Cluster:
    """With a new database and an emptied Redis; nothing runs in it yet.

    `before` gets both without any table, and writes what a former release left there.
    """
    postgres, valkey = servers
    resume(valkey)  # and the like, where a test failed in the middle of an outage
    for server in servers:
        if server.pid is None:
            server.restart()
    name = f"e2e_{next(_numbers)}"
    copy_database(postgres.url, name, "template0" if before else TEMPLATE)
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    database_url = in_database(postgres.url, name)
    if before:
        before(database_url, valkey)
    return Cluster(postgres, valkey, database_url, folder, **options)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def programs(folder: Path) -> Iterator[list[Program]]:
    """Programs put in here are killed at the end."""
    made: list[Program] = []
    yield made
    for program in made:
        program.clear_away()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Freshly built, outside the checkout."""
    return wheels.build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it is installed."""
    place = tmp_path_factory.mktemp("installed")
    wheels.install(place, "--no-index", wheel)
    return place


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.when == "call" and report.failed and cluster is not None:
        report.sections += [(name, text) for name, text in cluster.logs() if text]


@contextmanager
def busy_cores() -> Iterator[None]:
    """Four processes that do nothing but compute, while the block lasts."""
    with ExitStack() as stack:
        for _ in range(4):
            burner = child.start([sys.executable, "-c", "while True: pass"], death_signal=signal.SIGKILL)
            stack.callback(child.end, burner)
        yield
