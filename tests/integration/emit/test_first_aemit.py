"""The first `aemit` of a process loads what it needs in a thread: the event loop goes on meanwhile."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.support.places import ROOT

PROGRAM = """
import asyncio, json, sys, threading
import asyncpg
from dispatcher import aemit

loaded = {True: 0, False: 0}  # on the loop's thread, and elsewhere
loop_thread = threading.get_ident()

def seen(event, arguments):
    if event == "import":
        loaded[threading.get_ident() == loop_thread] += 1

async def main():
    connection = await asyncpg.connect(sys.argv[1])
    sys.addaudithook(seen)
    await aemit("inbox_file_removed_all", account="applecorp", connection=connection, inbox_files={"count": 3})
    counted = dict(loaded)
    await connection.close()
    print(json.dumps([counted[True], counted[False]]))

asyncio.run(main())
"""


@pytest.mark.usefixtures("account")
def test_the_loop_loads_next_to_nothing_itself(database_url: str) -> None:
    variables: dict[str, Any] = {
        name: value for name, value in os.environ.items() if not name.startswith("DISPATCHER_")
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, database_url],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    by_the_loop, by_a_thread = json.loads(done.stdout)

    assert by_a_thread > 50
    assert by_the_loop <= 5  # the adapter of its connection
