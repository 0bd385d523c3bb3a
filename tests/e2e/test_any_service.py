"""What once kept a service from emitting: all of it in one service, which emits all the same.

Each is proven alone, too:

1. Its database has an `alembic_version`: tests/integration/storage/test_beside_a_service.py, in either order.
2. It has `accounts`, `users`, `events`: the same; test_schema.py there has search_path, other schemas, a role's rights.
3. Its driver: tests/integration/emit/test_every_connection.py, tests/faults/test_every_driver.py.
4. Its `schemas.py` and `tasks.py`: test_wheel.py, as it is installed.
5. It shall hold no keys: here no variable is set; tests/integration/emit/test_own_connections.py has who needs which.
6. It is asyncio, and its loop shall go on: here, what an emit uses of the loop's thread.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from tests.e2e.conftest import used
from tests.support.builders import SECRET_KEY, a_body
from tests.support.cluster import Cluster
from tests.support.processes import Program, clean_environment, run
from tests.support.receiver import Receiver
from tests.support.servers import execute, in_database

TABLES = (
    "create table alembic_version (version_num varchar(32) primary key)",
    "insert into alembic_version values ('abc123')",
    "create table accounts (email text primary key)",
    "create table users (name text)",
    "create table events (happened_on date not null default current_date, note text not null)",
)
SERVICE = """
import asyncio
import json
import sys
import time

import asyncpg
import schemas
import tasks

from dispatcher import aemit

BODY = json.loads(sys.argv[2])


async def work(url):
    connection = await asyncpg.connect(url)
    used = []
    for note in ("first", "undone", "second"):
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("insert into events (note) values ($1)", note)
        began = time.thread_time()
        await aemit("invoice_paid", account="applecorp", connection=connection, **BODY)
        used.append(time.thread_time() - began)
        await (transaction.rollback() if note == "undone" else transaction.commit())
    await connection.close()
    print(json.dumps({"own": [schemas.OWNER, tasks.OWNER], "loop_ms": [1000 * each for each in used]}))


asyncio.run(work(sys.argv[1]))
"""


@pytest.fixture
def cluster(mortal_servers: tuple[Postgres, Valkey], folder: Path, programs: list[Program]) -> Iterator[Cluster]:
    """On a database that was a service's before, and that `dispatcher migrate` was run in."""
    postgres, valkey = mortal_servers
    url = in_database(postgres.url, "any_service")
    execute(postgres.url, "create database any_service template template0")
    execute(url, *TABLES)
    variables = {"DATABASE_URL": url, "REDIS_URL": valkey.url, "SECRET_KEYS": SECRET_KEY}
    migrate = run(programs, folder, "migrate", **variables)
    assert migrate.wait(30) == 0, migrate.output
    yield from used(Cluster(postgres, valkey, url, folder))


def test_a_service_emits_whatever_it_has_of_its_own(cluster: Cluster, receiver: Receiver, tmp_path: Path) -> None:
    url = cluster.env["DATABASE_URL"]
    cluster.webhook(receiver.url("/hook"))
    cluster.start_worker()
    for name in ("schemas", "tasks"):
        (tmp_path / f"{name}.py").write_text("OWNER = 'the service'\n")
    (tmp_path / "service.py").write_text(SERVICE)

    command = [sys.executable, str(tmp_path / "service.py"), url, json.dumps(a_body())]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cluster.wait_until_delivered(2)

    said = json.loads(done.stdout)
    assert said["own"] == ["the service", "the service"]
    assert max(said["loop_ms"]) < 100
    assert [row[0] for row in cluster.rows("select note from public.events")] == ["first", "second"]
    assert cluster.rows("select version_num from public.alembic_version") == [("abc123",)]
    assert len(receiver.requests) == 2
