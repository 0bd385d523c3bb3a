"""What every ring of tests shares: servers of their own, started only when a test asks for one.

    postgres_server, valkey_server    one of each a session, on free ports, in temporary folders
    mortal_servers                    the same for tests that kill them
    database_url, redis_url           a fresh copy of a migrated database, and an emptied Redis, for each test
    settings, container               Settings for these two, and the container made of them, the process's own
    shift_time                        moves the clock that decides what is due

Unit tests get none of these: their sockets are off.
"""

import gc
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import hypothesis
import pytest
import redis

# Both senders now, while sockets are on: a class made of a guarded socket stays guarded in later tests.
import dispatcher.sender.curl
import dispatcher.sender.portable  # noqa: F401
from dispatcher.container import Container
from dispatcher.current import use_container
from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from dispatcher.schemas.active_catalogues import use
from dispatcher.settings import Settings
from dispatcher.storage.engine import Storage
from dispatcher.storage.secrets import SecretBox
from tests.support import forked
from tests.support.builders import PASSWORD_MEMORY_KIB, SECRET_KEY
from tests.support.loading import load_from_another_place
from tests.support.places import a_folder
from tests.support.servers import Databases, a_database, a_migrated_postgres, a_valkey, execute, idle_sessions

_LONGEST = (
    *("test_every_driver", "test_processes", "test_rabbitmq", "test_receivers", "test_example_shops"),
    *("test_worker_deaths", "test_sign_in", "test_outboxes", "test_server_outages", "test_coming_back"),
    *("test_tutorial", "test_tenancy", "test_server_failures", "test_oddities", "test_isolation", "test_sentinel"),
)
"""Files of e2e, faults and attacks, in this order."""

# What tests start shall hear Ctrl-C, which a shell's background job has switched off for all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time, a third of them unless there is a night's time; and no deadline, because this machine
# may have other things to do.
EXAMPLES = 100 if os.environ.get("FAULTS") == "long" else 34
hypothesis.settings.register_profile(
    "repeatable", max_examples=EXAMPLES, deadline=None, derandomize=True, database=None
)
hypothesis.settings.load_profile("repeatable")


class ShiftTime(Protocol):
    """Moves Postgres' idea of now so many seconds ahead of the real one, for all sessions of the test's database."""

    def __call__(self, seconds: float) -> None: ...


def pytest_configure(config: pytest.Config) -> None:
    """Where xdist has several processes, they share the one that programs are forked off."""
    if getattr(config.option, "numprocesses", None):
        shared = ExitStack()
        shared.enter_context(forked.sharing())
        config.add_cleanup(shared.close)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Modules and test cases stay to the end: to walk them again and again was half the CPU of collecting them."""
    gc.disable()
    load_from_another_place(session.config)
    collected = yield
    gc.freeze()
    gc.enable()
    return collected


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sockets are off in the unit ring; a test that must have them says so with `enable_socket`.

    The longest files begin first: a run ends with its last one, while others have nothing left to do.
    """
    for item in items:
        if item.nodeid.startswith("tests/unit/") and not item.get_closest_marker("enable_socket"):
            item.add_marker("disable_socket")
    items.sort(key=lambda item: _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST))


@pytest.fixture(autouse=True, scope="module")
def _usual_catalogues() -> Iterator[None]:
    """Event types that a test has stored are active in its process, which other files of tests share."""
    yield
    use(None)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def postgres_server(run_folder: Path) -> Iterator[str]:
    with a_migrated_postgres(run_folder) as server:
        url = server.start()
        # No test here pulls the machine's plug, nor kills it; and statistics are those that a test has asked for.
        off = ("fsync", "full_page_writes", "autovacuum")
        execute(url, *(f"alter system set {name} = off" for name in off), "select pg_reload_conf()")
        yield url
        server.stop()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    yield from (server.url for server in a_valkey())


@pytest.fixture(scope="session")
def databases(migrated_server: str) -> Databases:
    return Databases(migrated_server)


@pytest.fixture(scope="session")
def migrated_server(postgres_server: str) -> str:
    """The server, with a migrated database to be copied."""
    return postgres_server


@pytest.fixture(scope="session")
def mortal_servers(run_folder: Path) -> Iterator[tuple[Postgres, Valkey]]:
    """Those of e2e, faults and attacks, which kill them; here, as each conftest with a fixture has one of its own."""
    with a_folder() as made, a_migrated_postgres(run_folder) as postgres, forked.running():
        valkey = Valkey(made / "valkey")
        postgres.start()
        valkey.start()
        yield postgres, valkey
        valkey.stop()
        postgres.stop()


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """A database without a table."""
    yield from a_database(postgres_server, "template0")


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database that only this test uses."""
    yield from databases.one()


@pytest.fixture(scope="session")
def redis_client_of_session(valkey_server: str) -> Iterator[Any]:
    with redis.Redis.from_url(valkey_server, decode_responses=True) as client:
        yield client


@pytest.fixture
def redis_client(redis_client_of_session: Any) -> Any:
    """A client of the emptied Redis, for looking and breaking."""
    redis_client_of_session.flushall()
    return redis_client_of_session


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
        lease_s=20.0,
        hold_s=5.0,
        pool_size=10,
        password_memory_kib=PASSWORD_MEMORY_KIB,
        testing=True,
    )


@pytest.fixture
def storage(settings: Settings, databases: Databases) -> Iterator[Storage]:
    """This test's Postgres; that of `own` too."""
    made = Storage(settings.database_url, SecretBox(settings.secret_keys), settings.pool_size)
    shared = databases.engine(settings.database_url)
    if shared is not None:
        made.engine = shared
    yield made
    if shared is None:
        made.close()


@pytest.fixture
def container(settings: Settings, storage: Storage) -> Iterator[Container]:
    """This test's container, which are also the process's."""
    made = Container(settings)
    made.storage = storage
    use_container(made)
    yield made
    use_container(None)
    del made.storage  # whose fixture closes it
    made.close()


@pytest.fixture
def shift_time(database_url: str, storage: Storage) -> ShiftTime:
    """Moves what `dispatcher.now()` says; Redis' clock stays, so tests drain by `container.drain_runner.run`."""

    def shift(seconds: float) -> None:
        name = urlsplit(database_url).path.strip("/")
        execute(database_url, f"alter database {name} set dispatcher.shift = '{seconds}'")
        for pooled in idle_sessions(storage.engine):  # sessions read it when they begin
            with pooled.dbapi_connection.cursor() as cursor:
                cursor.execute(f"set dispatcher.shift = '{seconds}'")

    return shift
