"""A database and a Redis that 0.1.0 has written: what it left undone is done, and what was done is shown.

releases/ has both as that release's own code left them after two days: a worker was killed in the middle of a request,
another webhook was failing, and two events had just been emitted. Times of tests pass: nothing of it may expire.
"""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from standardwebhooks import Webhook as Verifier

from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from dispatcher.storage.admin import accounts, sessions, users
from tests.e2e.conftest import a_cluster, used
from tests.support.api import Server, running
from tests.support.cluster import Cluster
from tests.support.receiver import Received, Receiver
from tests.support.servers import execute
from tests.support.waiting import wait_until

RELEASES = Path(__file__).parent / "releases"
ACCOUNT = "pearcorp"
SECRETS = {  # what the receivers were given then
    "/paid": "whsec_1DXposwsFofNoIXkLgLnrRacdGhQLsHNQb0sAOYAwy8=",
    "/flaky": "whsec_7+NG5D9Q2NxPkZS2fkF35/WF20KC9n034XLaem49ZXU=",
    "/legacy": "whsec_vh3twjlMAMiDqlezFNQLjqtnWgJdCkfsBDVxvUdJVVk=",
    "/dead": "whsec_DgRYDkFxy6A8QZg7+jqB5pMGX1gN/lJ/lfDFk5xYTAQ=",
    "/off": "whsec_1a9iWicX4vjjoOdscEJTF6yTY4pXcV8uZs6InOMy2CY=",
    "/slow": "whsec_t82tg0/oEdgrCT9T41OWQ+OFCTnofknu8kGMrTogIjQ=",
}
FAILING = {  # keys of the deliveries to /flaky: each has been attempted
    "01a20f77-d7a8-76c4-8000-000000000034",
    "01a20f77-d7a8-7c60-8000-000000000038",
    "01a20f77-d7a8-7ee0-8000-000000000039",
    "01a2149e-6ac3-762b-8000-000000000066",
}
LEASED = "01a2149e-6f91-7619-8000-000000000098"
INACTIVE = "01a20f77-d7a8-7957-8000-00000000003d"
FAILED = "01a20f77-c12c-750d-8000-000000000001"
KEPT: Any = {"DISPATCHER_RETENTION_DAYS": "3650"}


@pytest.fixture
def cluster(mortal_servers: tuple[Postgres, Valkey], folder: Path, receiver: Receiver) -> Iterator[Cluster]:
    """Migrated from 0.1.0; its webhooks are at `receiver`."""

    def write(database_url: str, valkey: Valkey) -> None:
        execute(database_url, (RELEASES / "0.1.0.sql").read_text().replace("RECEIVER", receiver.url("")))
        with redis.Redis.from_url(valkey.url) as client:
            for key, dump in json.loads((RELEASES / "0.1.0.redis.json").read_text()).items():
                client.restore(key, 0, base64.b64decode(dump))

    yield from used(a_cluster(mortal_servers, folder, write))


@pytest.fixture
def server(cluster: Cluster, folder: Path) -> Iterator[Server]:
    with running(cluster.container, folder, DISPATCHER_WEB_WORKERS="1", **KEPT) as made:
        yield made


def test_a_dispatcher_goes_on_where_0_1_0_ended(cluster: Cluster, server: Server, receiver: Receiver) -> None:
    worker = cluster.start_worker(**KEPT)
    console = Console(cluster, server)

    # What was pending is sent, and what was not fanned out; nothing to the inactive and the deleted webhook.
    sent = receiver.wait_for(10, 20)
    assert Counter(request.path for request in sent) == {"/paid": 2, "/flaky": 5, "/legacy": 1, "/slow": 2}
    assert keys(sent) >= FAILING | {LEASED}

    # An inactive webhook has kept its delivery and sends it once it is active; what had failed is redelivered.
    console.post("/webhooks/5/activate")
    console.post("/deliveries/1/redeliver")
    assert keys(receiver.wait_for(12, 20)[10:]) == {INACTIVE, FAILED}

    for request in receiver.requests:
        body = Verifier(SECRETS[request.path]).verify(request.body, dict(request.headers))
        assert ("webhook_id" in body) == (request.path != "/legacy")
        assert request.header("Authorization") == ("Bearer pear" if request.path == "/paid" else None)
    wait_until(cluster.states, lambda states: states == {"delivered": 22, "cancelled": 1}, 10)
    # Attempts are counted on: the third of what had two, and the second of what was lost.
    numbers = "select delivery_id, max(number) from dispatcher.attempts where delivery_id in (52, 152) group by 1"
    assert dict(cluster.rows(numbers)) == {52: 3, 152: 2}

    # The console shows what 0.1.0 has recorded.
    first = console.get("/deliveries/51")
    assert "2026-11-24" in first
    assert '{"received": true}' in first
    shown = set(re.findall(r'/webhooks/(\d+)"', console.get("/webhooks")))
    assert shown == {"1", "2", "3", "4", "5", "7"}  # the sixth was deleted
    assert "Alexandr Hejsek" in console.get("/events/1826359663919105")
    assert not worker.ended
    assert "Traceback" not in worker.output + server.output


def keys(requests: list[Received]) -> set[str | None]:
    return {request.header("Idempotency-Key") for request in requests}


class Console:
    """The account's pages for a person who was added after the upgrade."""

    def __init__(self, cluster: Cluster, server: Server) -> None:
        storage, email = cluster.container.storage, "ann@example.com"
        account = storage.transact(accounts.find, ACCOUNT)
        storage.transact(
            users.create, account.id, email=email, full_name="Ann", permission="write", password_hash="unused"
        )
        candidate: Any = storage.transact(sessions.candidate, email)
        cookie: Any = storage.transact(
            sessions.start, candidate, cluster.container.access.session_idle, agent="Browser/1"
        )
        self._session = requests.Session()
        self._session.cookies.set("console", cookie)
        self._url = f"{server.url}/console/accounts/{ACCOUNT}"

    def get(self, path: str) -> str:
        """The page's text."""
        page = self._session.get(self._url + path, timeout=30)
        assert page.status_code == 200, page.text
        return unescape(page.text)

    def post(self, path: str) -> None:
        (csrf, *_) = re.findall(r'name="csrf" value="([^"]+)"', self.get("/replays/new"))
        page = self._session.post(self._url + path, {"csrf": csrf}, allow_redirects=False, timeout=30)
        assert page.status_code == 303, page.text
