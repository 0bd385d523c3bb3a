"""`dispatcher serve` as a process, and clients of its API."""

import http.client
import json
import os
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.processes import child
from dispatcher.storage.admin import clients, tokens, users
from dispatcher.storage.admin.clients import SCOPES, Client
from dispatcher.storage.admin.tokens import Grant
from dispatcher.storage.engine import rows
from dispatcher.storage.pipeline import emits
from tests.support.builders import PASSWORD_MEMORY_KIB, SECRET_KEY, a_draft
from tests.support.processes import PROGRAMS, Process, start_or_fork
from tests.support.waiting import eventually

AGENT = "Tests (tests@example.com)"
_session = requests.Session()
_session.trust_env = False  # who has a proxy needs it elsewhere
_session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # nothing goes from one request to another
_session.mount("http://", HTTPAdapter(pool_maxsize=64))


@dataclass(frozen=True, slots=True)
class Server:
    """A running `dispatcher serve`."""

    url: str
    log: Path = field(repr=False)
    process: Process = field(repr=False)

    @property
    def root(self) -> str:
        return f"{self.url}/api/v3"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def running(container: Container, folder: Path, **env: str) -> Iterator[Server]:
    """`dispatcher serve` while the block lasts; `env` are more variables."""
    port = free_port()
    log = folder / f"web{port}.log"
    log.touch()
    names = {
        "DATABASE_URL": container.settings.database_url,
        "REDIS_URL": container.settings.redis_url,
        "SECRET_KEYS": SECRET_KEY,
        "DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8",
        "DISPATCHER_QUOTA": "1000000",
        "DISPATCHER_EMIT_QUOTA": "1000000",
        "DISPATCHER_PASSWORD_MEMORY_KIB": str(PASSWORD_MEMORY_KIB),
        "PORT": str(port),
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith(("DISPATCHER_", "FLOWER_"))}
    command = [str(PROGRAMS / "dispatcher"), "serve"]
    process = start_or_fork(command, cwd=Path.cwd(), env=others | names | env, log=log)
    made = Server(f"http://127.0.0.1:{port}", log, process)
    try:
        eventually(lambda: _answers(made), within_s=30, what=f"the API answering; it said: {log.read_text()}")
        yield made
    finally:
        child.end(process, (signal.SIGTERM, 10.0))  # type: ignore[arg-type]  # a fork is as much of a Popen as it needs


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(server: Server) -> bool:
    assert server.process.poll() is None, f"it ended: {server.output}"
    try:
        return requests.get(f"{server.root}/user.json", timeout=10).status_code == 401
    except (requests.ConnectionError, requests.Timeout):  # it listens before its processes are up
        return False


class Calls(ABC):
    """What a client of an API does; answers are requests' Response, whatever the status."""

    __slots__ = ()
    container: Container

    @abstractmethod
    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **given: Any) -> Any:
        """`given` are requests' own: `json`, `data`, `params`."""

    def get(self, path: str, **given: Any) -> Any:
        return self.call("GET", path, **given)

    def post(self, path: str, **given: Any) -> Any:
        return self.call("POST", path, **given)

    def put(self, path: str, **given: Any) -> Any:
        return self.call("PUT", path, **given)

    def patch(self, path: str, **given: Any) -> Any:
        return self.call("PATCH", path, **given)

    def delete(self, path: str, **given: Any) -> Any:
        return self.call("DELETE", path, **given)

    def sql(self, text: str, **parameters: Any) -> list[Any]:
        return self.container.storage.transact(rows, text, **parameters)


@dataclass(frozen=True, kw_only=True, slots=True)
class Api(Calls):
    """A client of an account."""

    server: Server
    container: Container
    account: Account
    client: Client
    secret: str = field(repr=False)
    token: str | None

    @classmethod
    def of(cls, server: Server, container: Container, account: Account, *scopes: str, redirect_uri: str = "") -> "Api":
        """A new client of the account, with an access token for `scopes` (default: all)."""
        redirect_uris = [redirect_uri] if redirect_uri else []
        client, secret = container.storage.transact(
            clients.create, account.id, "a test", redirect_uris, scopes or SCOPES
        )
        token = a_token(container, client, account)
        return cls(server=server, container=container, account=account, client=client, secret=secret, token=token)

    def another(self, *scopes: str) -> "Api":
        """Another client of the same account."""
        return Api.of(self.server, self.container, self.account, *scopes)

    def path(self, path: str) -> str:
        """`/webhooks.json` below the account; what begins with another word (`user.json`) is below the root."""
        return f"/accounts/{self.account.slug}{path}" if path.startswith("/") else f"/{path}"

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **given: Any) -> Any:
        """`given` are requests' own: `json`, `data`, `params`."""
        sent = {"User-Agent": AGENT} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        url = self.server.root + self.path(path)
        return request(method, url, headers=sent | (headers or {}), **given)


def request(method: str, url: str, **given: Any) -> requests.Response:
    """As requests' own, which makes a session and a connection for each: as much work again as the request is."""
    return _session.request(method, url, timeout=30, **given)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def send(
    server: Server,
    method: str,
    path: str,
    headers: Mapping[str, str | bytes],
    body: bytes = b"",
    host: str | None = None,
) -> Answer:
    """A request with no other headers than these and Host: requests would add some."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True, skip_host=host is not None)
        if host is not None:
            connection.putheader("Host", host.encode())
        for name, value in headers.items():
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return Answer(answer.status, answer.reason, CaseInsensitiveDict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def a_delivery(api: Calls, webhook_id: int, state: str = "failed") -> int:
    """The id of a new delivery of `invoice_paid` with two attempts; its event is in no outbox."""
    account_id = api.sql("select account_id from dispatcher.webhooks where id = %(id)s", id=webhook_id)[0][0]
    event = api.container.storage.transact(emits.insert, account_id, [a_draft()])[0]
    api.sql("delete from dispatcher.events_waiting where event_id = %(id)s", id=event.id)
    id_: int = api.sql(_DELIVERY, event_id=event.id, webhook_id=webhook_id, state=state)[0][0]
    api.sql(_ATTEMPTS, id=id_)
    return id_


_DELIVERY = """
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, attempt_count, finished_on)
select id, %(event_id)s, %(webhook_id)s, dispatcher.new_idempotency_key(id), %(state)s, 2,
    case when %(state)s <> 'pending' then current_date end from nextval('dispatcher.delivery_id') id
returning id
"""
_ATTEMPTS = """
insert into dispatcher.attempts (delivery_id, number, request_id, url, status, reason, content_type, body, started_at,
    finished_at)
values (%(id)s, 1, gen_random_uuid(), 'https://example.com', '404', null, 'text/html', 'not here', now(), now()),
    (%(id)s, 2, gen_random_uuid(), 'https://example.com', 'connection_failed', 'refused', null, null, now(), now())
"""


def a_token(container: Container, client: Client, account: Account) -> str:
    """An access token of the client for the account's owner."""

    def issue(connection: Any) -> str:
        owner, token = users.list_for_account(connection, account.id)[0], tokens.new_token()
        grant = Grant(client_id=client.id, account_id=account.id, user_id=owner.id, scopes=client.scopes)
        tokens.add(connection, "access", token, grant)
        return token

    return container.storage.transact(issue)
