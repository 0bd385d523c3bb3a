"""`dispatcher serve` as a process: how it starts, what it logs, how it ends."""

import dataclasses
import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from dispatcher.cli.address import url_of
from dispatcher.cli.root import main
from dispatcher.container import Container
from dispatcher.current import use_container
from dispatcher.model.account import Account
from tests.support.api import AGENT, Api, Server, send
from tests.support.builders import a_webhook
from tests.support.waiting import eventually

EVENT = {"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 1}}}


def test_it_says_where_it_listens_and_at_term_answers_what_it_has_begun_and_waits_for_nothing_else(
    serve: Callable[..., Server], container: Container, account: Account
) -> None:
    server = serve()
    api = Api.of(server, container, account)
    webhook = a_webhook(container.storage, account, client_id=api.client.id)
    api.get("/webhooks.json")
    api.post("/webhooks.json", json={"events": []})
    assert server.output == f"web.started address={server.url}\n"  # requests are not logged
    answers: list[requests.Response] = []
    patch = threading.Thread(
        target=lambda: answers.append(api.patch(f"/webhooks/{webhook.id}.json", json={"active": False}))
    )

    with idle_connections(api) as silent:
        with container.storage.transaction() as connection:
            connection.exec_driver_sql(f"select from dispatcher.webhooks where id = {webhook.id} for update")
            patch.start()
            waiting = (
                "select from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.query like %(q)s"
            )
            eventually(lambda: api.sql(waiting, q="%from dispatcher.webhooks%"), what="the request waiting for the row")
            server.process.send_signal(signal.SIGTERM)
        patch.join()

        assert answers[0].json()["active"] is False
        assert server.process.wait(10) == 0
        assert silent.recv(1) == b""


@contextmanager
def idle_connections(api: Api) -> Iterator[socket.socket]:
    """Connections on which nothing is asked: after an emit, after another answer, with half a request, with nothing."""
    port = api.server.port
    with ExitStack() as stack:
        emitted = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)))
        headers = {"User-Agent": AGENT, "Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}
        emitted.request("POST", f"/api/v3{api.path('/events.json')}", json.dumps(EVENT), headers)
        answer = emitted.getresponse()
        assert (answer.status, answer.read() != b"", answer.will_close) == (202, True, False)
        answered, begun, silent = (
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(3)
        )
        answered.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answered.recv(1) == b"H"
        begun.sendall(b"GET /healthz HTTP/1.1\r\n")
        yield silent


def test_several_processes_share_what_comes_and_one_that_ended_is_started_again(
    serve: Callable[..., Server], container: Container
) -> None:
    server = serve(DISPATCHER_WEB_WORKERS="2")
    eventually(lambda: min(shares(server, 10)) > 0, what="both processes listening")

    one_took_all = [min(shares(server, 40)) == 0 for _ in range(10)]
    assert sum(one_took_all) <= 3  # asyncio's own way: nearly always

    use_container(Container(dataclasses.replace(container.settings, port=server.port, web_workers=2)))
    another = CliRunner().invoke(main, ["serve"])
    use_container(None)
    assert another.exit_code == 1
    assert f"error: http://127.0.0.1:{server.port}: Address already in use" in another.stderr

    before = children(server)
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: set(children(server)) - set(before) and len(children(server)) == 2, what="another one")
    assert all(requests.get(f"{server.url}/healthz", timeout=20).status_code == 200 for _ in range(20))
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0


def shares(server: Server, count: int) -> list[int]:
    """How many of so many new connections each process takes."""
    with ExitStack() as stack:
        for _ in range(count):
            line = stack.enter_context(socket.socket())
            line.setblocking(False)
            line.connect_ex(("127.0.0.1", server.port))
        eventually(lambda: sum(taken(server)) == count, what="all being taken")
        found = taken(server)
    eventually(lambda: sum(taken(server)) == 0, what="all being closed")
    return found


def taken(server: Server) -> list[int]:
    """The connections that each of the two processes has."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    ours = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(f":{server.port:04X}") and line[3] == "01"}
    found = [sum(link in ours for link in links(process)) for process in children(server)]
    return found if len(found) == 2 else [0, 0]


def children(server: Server) -> list[int]:
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def links(process: int) -> Iterator[str]:
    """What the files are that a process has open."""
    for file in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield str(file.readlink())


def test_a_fault_of_ours_is_a_500_that_says_nothing_and_is_logged(
    serve: Callable[..., Server], container: Container, account: Account
) -> None:
    server = serve(SECRET_KEYS="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")  # not the key of what is stored
    api = Api.of(server, container, account)
    a_webhook(container.storage, account, client_id=api.client.id)

    answer = api.get("/webhooks.json")

    assert answer.status_code == 500
    assert answer.json() == {
        "error": "server_error",
        "error_description": "An internal error occurred; try again later",
    }
    assert "X-RateLimit" in answer.headers
    assert "SecretDecryptionFailed" in server.output
    assert str(api.token) not in server.output


def test_odd_hosts_do_no_harm(api: Api) -> None:
    a_webhook(api.container.storage, api.account, client_id=api.client.id)
    headers = {"User-Agent": AGENT, "Authorization": f"Bearer {api.token}"}

    for host in ("", "a b", "x" * 300, "[::1", "évil", "a/b?c#d", "localhost:99999"):
        answer = send(api.server, "GET", f"/api/v3{api.path('/webhooks.json')}", headers, host=host)

        assert answer.status in (200, 400), host


def named_by(server: Server, api: Api, host: str) -> str:
    """The root of the addresses in an answer to a request with that Host."""
    headers = {"User-Agent": AGENT, "Authorization": f"Bearer {api.token}"}
    answer = send(server, "GET", f"/api/v3{api.path('/webhooks.json')}", headers, host=host)
    return answer.json()[0]["url"].partition("/api/v3")[0]


def test_an_answer_names_hosts_of_the_setting_only(
    serve: Callable[..., Server], container: Container, account: Account
) -> None:
    server = serve(DISPATCHER_HOSTS="hooks.internal, 10.0.0.9")
    api = Api.of(server, container, account)
    a_webhook(container.storage, account, client_id=api.client.id)

    for host in ("hooks.internal", "HOOKS.internal:81", "10.0.0.9:8000", "localhost:99", "127.0.0.1", "[::1]:8"):
        assert named_by(server, api, host) == f"http://{host.lower()}"
    for host in (
        "evil.example",
        "evil.example:80",
        "hooks.internal.evil.example",
        "localhost.evil.example",
        "10.0.0.90",
    ):
        assert named_by(server, api, host) == server.url


def test_where_a_replay_is_found_is_told_by_such_hosts_only(api: Api) -> None:
    body = b'{"since": "2026-01-01T00:00:00Z"}'
    headers = {"User-Agent": AGENT, "Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}

    answer = send(api.server, "POST", f"/api/v3{api.path('/replays.json')}", headers, body, host="evil.example")

    assert answer.status == 201
    assert answer.headers["Location"].startswith(f"{api.server.url}/api/v3/")


def test_a_bad_setting_stops_the_start_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    use_container(None)
    for name, value in {
        "DATABASE_URL": "postgresql://x",
        "REDIS_URL": "redis://x",
        "SECRET_KEYS": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "PORT": "http",
    }.items():
        monkeypatch.setenv(name, value)

    done = CliRunner().invoke(main, ["serve"])

    assert (done.exit_code, done.stderr.startswith("error: PORT: ")) == (1, True)


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert url_of("::1", 8000) == "http://[::1]:8000"
