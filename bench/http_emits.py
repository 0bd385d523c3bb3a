"""Events a second that the API accepts, one and 100 in a request: an answer of 202 means that they are committed.

`dispatcher serve` runs as it does by default, but for the quota; no worker runs. The client is libcurl's multi
interface in this process, over kept connections; it takes some of the same cores. `python -m bench.http_emits` measures
this alone.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pycurl

from bench import load
from bench.receiver import free_port
from bench.rig import Rig, running, say, wait_until
from dispatcher import event_types
from dispatcher.model.account import Account
from dispatcher.storage.admin import clients

IN_FLIGHT = 64
"""Connections may fall unevenly on several processes, and none shall be idle while Postgres syncs a commit."""
_TYPE = Path(__file__).with_name("order_paid_type.json")
"""An order with its customer and five lines: 1 KB, and 40 attributes with types, formats, bounds and patterns."""
_FIXED = ("User-Agent: bench", "Expect:")


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """So many requests of so many events each; `keyed`: with an Idempotency-Key, as a careful client sends them.

    `stored`: of an event whose type is a JSON Schema that a program has stored.
    """

    name: str
    requests: int
    batch: int
    target: int
    keyed: bool = False
    stored: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Emits:
    """One load's figure. `complete` says that every event is a row, once."""

    name: str
    events: int
    seconds: float
    target: int
    complete: bool

    @property
    def per_second(self) -> float:
        """Events a second."""
        return self.events / self.seconds


LOADS = (
    Load(name="one event a request", requests=10_000, batch=1, target=1_500),
    Load(name="one with a key a request", requests=10_000, batch=1, target=1_500, keyed=True),
    Load(name="100 events a request", requests=600, batch=100, target=15_000),
    Load(name="100 of a stored type a request", requests=600, batch=100, target=8_000, stored=True),
)
STORED = "order.paid"


class Api:
    """The API of one account, as a client of its own sees it, over kept connections; the client is libcurl's."""

    def __init__(self, pid: int, root: str, slug: str, client_id: str, secret: str) -> None:
        """`pid`: the server, for those who measure it. Fetches a token."""
        self.pid = pid
        self._account = f"{root}/accounts/{slug}"
        grant = _call(f"{root}/oauth/token", [], b"grant_type=client_credentials", signed_in=f"{client_id}:{secret}")
        self._headers = [f"Authorization: Bearer {grant['access_token']}", "Content-Type: application/json"]

    def create_webhook(self, url: str) -> None:
        """One for the events that are posted."""
        body = json.dumps({"webhook_url": url, "events": [load.EVENT], "active": True}).encode()
        _call(f"{self._account}/webhooks.json", self._headers, body)

    def post(
        self, body: bytes | Callable[[int], bytes], count: int, *, keyed: bool = False, per_second: int | None = None
    ) -> list[tuple[float, float]]:
        """Emits so often, as fast as may be or evenly; `body` may depend on the request's number.

        Returns when each request was due and when its 202 was there, on the monotonic clock: a late start counts.
        Raises RuntimeError for another response.
        """
        multi = pycurl.CurlMulti()
        free = [_handle(f"{self._account}/events.json", self._headers) for _ in range(min(IN_FLIGHT, count))]
        numbers: dict[pycurl.Curl, int] = {}
        began_s = time.monotonic()
        due_s, answered_s = [0.0] * count, [0.0] * count
        started = finished = 0
        while finished < count:
            now_s = time.monotonic()
            while free and started < count and (per_second is None or began_s + started / per_second <= now_s):
                curl = free.pop()
                curl.setopt(pycurl.POSTFIELDS, body if isinstance(body, bytes) else body(started))
                if keyed:
                    curl.setopt(pycurl.HTTPHEADER, [*self._headers, *_FIXED, f"Idempotency-Key: {uuid4()}"])
                numbers[curl] = started
                due_s[started] = now_s if per_second is None else began_s + started / per_second
                multi.add_handle(curl)
                started += 1
            multi.perform()
            _, succeeded, failed = multi.info_read()
            now_s = time.monotonic()
            for curl in succeeded:
                if curl.getinfo(pycurl.RESPONSE_CODE) != 202:
                    raise RuntimeError(f"the API answered {curl.getinfo(pycurl.RESPONSE_CODE)}")
                answered_s[numbers[curl]] = now_s
                multi.remove_handle(curl)
                free.append(curl)
            if failed:
                raise RuntimeError(f"a request failed: {failed[0][2]}")
            finished += len(succeeded)
            if not succeeded:
                next_s = began_s + started / per_second if per_second and free and started < count else now_s + 0.02
                multi.select(max(0.0, min(0.02, next_s - now_s)))
        return list(zip(due_s, answered_s, strict=True))


@contextmanager
def serving(rig: Rig, account: Account) -> Iterator[Api]:
    """`dispatcher serve` for the time of the block, with a client of the account's that has a token."""
    client, secret = rig.container.storage.transact(clients.create, account.id, "bench", [], clients.SCOPES)
    port = free_port()
    root = f"http://127.0.0.1:{port}/api/v3"
    command = [str(Path(sys.executable).parent / "dispatcher"), "serve"]
    variables = {"PORT": str(port), "DISPATCHER_EMIT_QUOTA": "1000000000"}
    with running(command, variables, stdout=subprocess.DEVNULL) as server:
        wait_until("the API listens", lambda: _listens(port), processes=[server])
        yield Api(server.pid, root, account.slug, client.client_id, secret)


def measure(rig: Rig, share: float) -> list[Emits]:
    """Each load, on empty tables, after a warm-up of the same kind."""
    rig.empty()
    (account,) = load.make_accounts(rig, 1, [], "emitter")
    event_types.put(rig.container.storage, STORED, json.loads(_TYPE.read_text()))
    with serving(rig, account) as api:
        return [_run(rig, api, each, share) for each in LOADS]


def _run(rig: Rig, api: Api, each: Load, share: float) -> Emits:
    name, body = (
        (STORED, json.dumps(json.loads(_TYPE.read_text())["example"]))
        if each.stored
        else (load.EVENT, load.body_json())
    )
    one = f'{{"name":"{name}","body":{body}}}'
    sent = (one if each.batch == 1 else f"[{','.join([one] * each.batch)}]").encode()
    count = max(IN_FLIGHT, int(each.requests * share))
    api.post(sent, max(IN_FLIGHT, count // 10), keyed=each.keyed)
    rig.sql("truncate dispatcher.events, dispatcher.events_waiting")
    rig.sql("checkpoint")
    began_s = time.monotonic()
    api.post(sent, count, keyed=each.keyed)
    done = Emits(
        name=each.name,
        events=count * each.batch,
        seconds=time.monotonic() - began_s,
        target=each.target,
        complete=rig.sql("select count(*) from dispatcher.events_waiting join dispatcher.events on id = event_id")[0][0]
        == count * each.batch,
    )
    say(f"emits by HTTP, {each.name}: {done.per_second:,.0f}/s")
    return done


def _handle(url: str, headers: list[str]) -> pycurl.Curl:
    """A POST; its body is set for each."""
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.HTTPHEADER, [*headers, *_FIXED])
    curl.setopt(pycurl.WRITEFUNCTION, len)
    curl.setopt(pycurl.NOSIGNAL, 1)
    return curl


def _call(url: str, headers: list[str], body: bytes, signed_in: str = "") -> Any:
    """The response's JSON; raises RuntimeError for a status that is no success."""
    answer = BytesIO()
    curl = _handle(url, headers)
    curl.setopt(pycurl.USERPWD, signed_in)
    curl.setopt(pycurl.POSTFIELDS, body)
    curl.setopt(pycurl.WRITEFUNCTION, answer.write)
    curl.perform()
    if curl.getinfo(pycurl.RESPONSE_CODE) >= 300:
        raise RuntimeError(f"{url} answered {curl.getinfo(pycurl.RESPONSE_CODE)}: {answer.getvalue()!r}")
    return json.loads(answer.getvalue())


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    """Measures, and prints a line for each load."""
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-") as folder, Rig(Path(folder)) as rig:
        measure(rig, 1.0)


if __name__ == "__main__":
    main()
