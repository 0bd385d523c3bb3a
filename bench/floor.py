"""What a chain of the same libraries that does the least costs at 200 events a second, beside `bench.chain`.

It is uvicorn with an application that reads a body, stores it as one row, and answers; and libcurl, which POSTs the
same body. Nobody is asked who calls, nothing is checked, fanned out, signed or recorded. `python -m bench.floor`.
"""

import asyncio
import http.client
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pycurl
import uvicorn

from bench import load
from bench.pacing import steps
from bench.receiver import Receiver, free_port
from bench.rig import Rig, running, say, wait_until
from tests.support.ports import status
from tests.support.processes import cpu_s

EVENTS, PER_SECOND = 2_000, 200
_TABLE = "create table bare (id bigserial primary key, body json)"


def measure(folder: Path) -> dict[str, float]:
    """Process → milliseconds of CPU for an event."""
    body = load.body_json().encode()
    with Rig(folder) as rig, Receiver(folder) as receiver:
        rig.sql(_TABLE)
        port = free_port()
        with running([sys.executable, "-m", "bench.floor", str(port)]) as web:
            wait_until("the bare endpoint answers", lambda: status(f"http://127.0.0.1:{port}/") == 202)
            pids = {"postgres": rig.server_pids["postgres"], "web": web.pid}
            connection = http.client.HTTPConnection("127.0.0.1", port)
            used = {name: -cpu_s(pid) for name, pid in pids.items()}
            for _ in steps(EVENTS, PER_SECOND):
                connection.request("POST", "/", body, {"Content-Type": "application/json"})
                connection.getresponse().read()
            time.sleep(1.5)  # what Postgres does behind its commits counts, too
            costs = {name: seconds + cpu_s(pids[name]) for name, seconds in used.items()}
        curl = _curl(receiver.url(), body)
        curl.perform()
        began_s = time.process_time()
        for _ in steps(EVENTS, PER_SECOND):
            curl.perform()
        costs["libcurl"] = time.process_time() - began_s
    return {name: seconds * 1000 / EVENTS for name, seconds in costs.items()}


def _curl(url: str, body: bytes) -> pycurl.Curl:
    curl = pycurl.Curl()
    for option, value in ((pycurl.URL, url), (pycurl.POSTFIELDS, body), (pycurl.WRITEFUNCTION, len)):
        curl.setopt(option, value)
    return curl


def _endpoint(url: str) -> Callable[..., Awaitable[None]]:
    """The application; a thread of its own stores, as a web process of the dispatcher does it."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("prepare store as insert into bare (body) values ($1::json) returning id")
    thread = ThreadPoolExecutor(1)

    async def answer(_scope: Any, receive: Any, send: Any) -> None:
        body, is_whole = b"", False
        while not is_whole:
            message = await receive()
            body, is_whole = body + message["body"], not message.get("more_body")
        await asyncio.get_running_loop().run_in_executor(
            thread, cursor.execute, "execute store (%s)", [body.decode() or "{}"]
        )
        await send({"type": "http.response.start", "status": 202, "headers": [(b"Content-Length", b"0")]})
        await send({"type": "http.response.body"})

    return answer


def main() -> None:
    """Serves the bare endpoint on a port, or measures and prints."""
    if len(sys.argv) > 1:
        app = _endpoint(os.environ["DATABASE_URL"])
        uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", access_log=False, log_level="error")
        return
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-") as folder:
        costs = measure(Path(folder))
    say(f"CPU ms an event at {PER_SECOND}/s: " + ", ".join(f"{name} {ms:.2f}" for name, ms in costs.items()))


if __name__ == "__main__":
    main()
