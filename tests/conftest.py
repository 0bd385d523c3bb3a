"""What every ring of tests shares: waiting for a condition, and own servers, started only when a test asks for one.

    postgres_server, valkey_server    one of each a session, on free ports, in temporary folders
    database_url, redis_url           a fresh copy of a migrated database, and an emptied Redis, for each test
    settings, container               Settings for these two, and the container made of them, the process's own
    shift_time                        moves the clock that decides what is due

Unit tests get none of these: their sockets are off.
"""

import asyncio
import itertools
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import hypothesis
import psycopg2
import pytest
import redis

# Both senders now, while sockets are on: a class made of a guarded socket stays guarded in later tests.
import dispatcher.sender.curl
import dispatcher.sender.portable  # noqa: F401
from dispatcher.container import Container, use_container
from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from dispatcher.settings import Settings
from dispatcher.storage import migrate
from dispatcher.storage.engine import Storage
from dispatcher.storage.secrets import SecretBox
from tests.builders import SECRET_KEY

T = TypeVar("T")

# The same examples every time; and no deadline, because this machine may have other things to do.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable")

ROOT = Path(__file__).parent.parent
_TEMPLATE = "dispatcher_template"
_numbers = itertools.count(1)


class ShiftTime(Protocol):
    """Moves Postgres' idea of now so many seconds ahead of the real one, for all sessions of the test's database."""

    def __call__(self, seconds: float) -> None: ...


def in_a_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """What it returns, from an event loop in a thread of its own: Playwright leaves one running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def eventually(condition: Callable[[], T], within_s: float = 10.0, what: str = "the condition") -> T:
    """The first true value of `condition`, asked again and again; an AssertionError names `what` did not come."""
    until_s = time.monotonic() + within_s
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < until_s, f"{what} did not come true within {within_s} s"
        pause.wait(0.02)
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sockets are off in the unit ring; a test that must have them says so with `enable_socket`."""
    for item in items:
        if Path(__file__).parent / "unit" in item.path.parents and not item.get_closest_marker("enable_socket"):
            item.add_marker("disable_socket")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    # Not pytest's own folder: only its owner may enter that, and Postgres, which refuses root, is somebody else.
    with a_folder() as folder:
        folder.chmod(0o711)
        server = Postgres(folder / "postgres")
        url = server.start()
        with _admin(url) as cursor:
            cursor.execute("alter system set fsync = off")  # no test here pulls the plug of the machine
            cursor.execute("select pg_reload_conf()")
        yield url
        server.stop()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    for server in a_valkey():
        yield server.url


@pytest.fixture(scope="session")
def template(postgres_server: str) -> str:
    """The name of a database with all migrations, to be copied."""
    with _admin(postgres_server) as cursor:
        cursor.execute(f"create database {_TEMPLATE}")
    storage = Storage(in_database(postgres_server, _TEMPLATE), SecretBox([SECRET_KEY]))
    migrate.upgrade(storage)
    storage.close()
    return _TEMPLATE


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """A database without a table."""
    yield from a_database(postgres_server, "template0")


@pytest.fixture
def database_url(postgres_server: str, template: str) -> Iterator[str]:
    """A migrated database that only this test uses."""
    yield from a_database(postgres_server, template)


@pytest.fixture
def redis_client(valkey_server: str) -> Iterator[Any]:
    """A client of the emptied Redis, for looking and breaking."""
    with redis.Redis.from_url(valkey_server, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def redis_url(valkey_server: str, redis_client: Any) -> str:
    """An empty Redis."""
    return valkey_server


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Settings for this test's servers, with short limits; `dataclasses.replace` makes others of them."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        broker_url=redis_url,
        secret_keys=(SECRET_KEY,),
        allowed_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        timeout_s=2.0,
        connect_timeout_s=1.0,
        lease_s=20.0,
        flush_ms=10,
        hold_s=5.0,
        pool_size=10,
        testing=True,
    )


@pytest.fixture
def storage(settings: Settings) -> Iterator[Storage]:
    """This test's Postgres; that of `own` too."""
    made = Storage(settings.database_url, SecretBox(settings.secret_keys), settings.pool_size)
    yield made
    made.close()


@pytest.fixture
def container(settings: Settings, storage: Storage) -> Iterator[Container]:
    """This test's container, which are also the process's."""
    made = Container(settings)
    made.storage = storage
    use_container(made)
    yield made
    use_container(None)
    made.close()


@pytest.fixture
def shift_time(database_url: str, storage: Storage) -> ShiftTime:
    """Moves what `dispatcher_now()` says; Redis' clock stays, so tests drain by `container.deliver`."""

    def shift(seconds: float) -> None:
        name = urlsplit(database_url).path.strip("/")
        with _admin(database_url) as cursor:
            cursor.execute(f"alter database {name} set dispatcher.shift = '{seconds}'")
        storage.engine.dispose()  # sessions read it when they begin

    return shift


def in_database(url: str, name: str) -> str:
    """The same server's URL for database `name`."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@contextmanager
def a_folder() -> Iterator[Path]:
    """In memory where there is room: a fresh database is 460 files, which a busy disk takes half a second to make."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30
    with tempfile.TemporaryDirectory(
        prefix="dispatcher-tests-", dir=memory if roomy else None, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def a_valkey() -> Iterator[Valkey]:
    """One that runs, in a temporary folder, on a free port; for those who cannot share one that tests empty."""
    with a_folder() as folder:
        server = Valkey(folder / "valkey")
        server.start()
        yield server
        server.stop()


def a_database(server_url: str, template: str) -> Iterator[str]:
    # pytest's own import of this module and that of another conftest are two, each with numbers from 1.
    name = f"{__name__.replace('.', '_')}_{next(_numbers)}"
    with _admin(server_url) as cursor:
        cursor.execute(f"create database {name} template {template}")
    yield in_database(server_url, name)
    with _admin(server_url) as cursor:
        cursor.execute(f"drop database {name} with (force)")


@contextmanager
def _admin(url: str) -> Iterator[Any]:
    """A cursor outside any transaction."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
