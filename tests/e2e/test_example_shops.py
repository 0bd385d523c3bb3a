"""The example shops, each started by its one command: what it commits arrives, and what it rolls back does not."""

import json
import os
import re
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from dispatcher.local.env_file import running_environment
from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from tests.support import npm
from tests.support.places import ROOT
from tests.support.ports import free_port
from tests.support.processes import PROGRAMS, Program, is_alive, processes_with
from tests.support.servers import a_database
from tests.support.waiting import eventually

EXAMPLES = ROOT / "examples"


def post(url: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    """Status and body; 0 while nobody listens."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} | headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, b""
    except urllib.error.URLError:
        return 0, b""


def start(programs: list[Program], example: Path, folder: Path, **env: str) -> tuple[Program, str]:
    """`dispatcher up` in the example's folder, and the shop's URL, once that answers."""
    port = free_port()
    up = Program(
        [PROGRAMS / "dispatcher", "up", "--folder", folder / "data"],
        cwd=example,
        env={"SHOP_PORT": str(port), "RECEIVER_PORT": str(free_port(1))} | env,
        log=folder / "up.log",
    )
    programs.append(up)
    shop = f"http://127.0.0.1:{port}"

    def is_open() -> bool:
        assert not up.ended, up.output
        return post(f"{shop}/nothing")[0] == 404

    eventually(is_open, 120, "the shop answering")
    return up, shop


@pytest.fixture
def servers(mortal_servers: tuple[Postgres, Valkey]) -> Iterator[dict[str, str]]:
    """Variables of `up` that spare it servers of its own: a migrated database, and an emptied Redis."""
    postgres, valkey = mortal_servers
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    for url in a_database(postgres.url):
        yield {"DATABASE_URL": url, "REDIS_URL": valkey.url}


def test_with_servers_of_its_own_what_the_shop_commits_arrives_and_a_kill_leaves_nothing(
    folder: Path, programs: list[Program]
) -> None:
    mark = f"MARK={folder}"
    up, shop = start(programs, EXAMPLES / "fastapi_shop", folder, MARK=str(folder))
    check(up, shop)
    servers = [int((folder / "data" / name / "server").read_text()) for name in ("postgres", "valkey")]
    assert running_environment(folder / "data") != {}

    up.kill()  # and only this process

    eventually(lambda: not processes_with(mark) and not any(map(is_alive, servers)), 20, "nothing being left")
    assert running_environment(folder / "data") == {}


@pytest.mark.parametrize("example", ["django_shop", "flask_shop"])
def test_what_the_shop_commits_arrives_and_what_it_rolls_back_does_not(
    example: str, folder: Path, programs: list[Program], servers: dict[str, str]
) -> None:
    up, shop = start(programs, EXAMPLES / example, folder, **servers)
    check(up, shop)
    stop(up)


def test_a_service_in_node_emits_by_triggers_and_over_http(
    folder: Path, programs: list[Program], servers: dict[str, str]
) -> None:
    example = folder / "example"
    shutil.copytree(
        EXAMPLES / "node_producer", example, ignore=shutil.ignore_patterns("node_modules", ".*-client.json")
    )
    npm.install(example)
    path = f"{npm.NODE.parent}{os.pathsep}{os.environ['PATH']}"
    up, shop = start(programs, example, folder, PATH=path, PORT=str(free_port(2)), **servers)
    check(up, shop)

    first, second = (post(f"{shop}/inbox", {"count": 3}, **{"Idempotency-Key": "monday"}) for _ in range(2))
    assert first[0] == second[0] == 202, up.output
    assert json.loads(first[1]) | {"new": False} == json.loads(second[1])
    eventually(lambda: "inbox_file_removed_all /hook" in up.output, 30, "the event posted over HTTP")
    stop(up)


def test_the_function_of_the_node_example_is_the_documented_sql() -> None:
    documented = (ROOT / "docs" / "examples" / "emit.sql").read_text()
    statements = re.sub(r"(?m)^--.*\n", "", documented).strip()

    assert re.sub(r"\n+", "\n", statements) in re.sub(
        r"\n+", "\n", (EXAMPLES / "node_producer" / "tables.sql").read_text()
    )


def check(up: Program, shop: str) -> None:
    """Two invoices, of which one is paid, and the other's payment is rolled back."""
    large, small = ({"number": number, "total": total} for number, total in [("A", "2000000"), ("B", "1089.00")])
    assert [post(f"{shop}/invoices", new)[0] for new in (large, small)] == [201, 201]
    assert post(f"{shop}/invoices/1/payment")[0] in (400, 422)
    assert post(f"{shop}/invoices/2/payment")[0] == 201

    eventually(lambda: up.output.count("signature valid") == 3, 30, "three webhooks arriving")
    assert up.output.count("invoice_created /hook") == 2
    assert up.output.count("invoice_paid /hook") == 1
    assert '"number": "B",\n' in up.output.partition("invoice_paid /hook")[2]


def stop(up: Program) -> None:
    up.send(signal.SIGINT)
    assert up.wait(60) == 0, up.output
