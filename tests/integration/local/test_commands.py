"""`dispatcher flower` and `dispatcher up`, as a person starts them."""

import contextlib
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
from celery import Celery
from click.testing import CliRunner

from dispatcher.cli.flower import flower, flower_access, is_loopback
from dispatcher.cli.root import main
from dispatcher.cli.up import choose_ports, up
from dispatcher.local.env_file import running_environment
from dispatcher.local.folder import lock_folder, make_folder, write_private
from dispatcher.local.valkey import Valkey
from tests.integration.local.conftest import copy_data
from tests.support.flower import Flower
from tests.support.places import a_folder
from tests.support.ports import free_ports
from tests.support.processes import is_alive, processes_with
from tests.support.waiting import eventually

DISPATCHER = Path(sys.executable).parent / "dispatcher"
NAMED = {
    "DATABASE_URL": "postgresql://me:hidden@db.example/name?sslmode=require",
    "REDIS_URL": "redis://r.example:6379/0",
}
"""Of others, to which nobody here connects."""
BARE = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}  # no activated venv


@pytest.fixture
def run() -> Iterator["Run"]:
    yield from _runs()


def _runs() -> Iterator["Run"]:
    runs = Run()
    yield runs
    runs.end()


class Run:
    """Starts `dispatcher ...` with nothing in its environment but what the test gives; ends it after the test."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: str, cwd: Path, **env: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [DISPATCHER, *arguments],
            cwd=cwd,
            env=BARE | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


PASSWORD_NEEDED = "set FLOWER_BASIC_AUTH=user:password"
NOT_STARTED = (
    *(({"FLOWER_ADDRESS": one, "FLOWER_BASIC_AUTH": " "}, PASSWORD_NEEDED) for one in ("0.0.0.0", "::", "10.1.2.3")),
    ({"FLOWER_ADDRESS": "example.com"}, PASSWORD_NEEDED),
    ({"FLOWER_ADDRESS": "0.0.0.0", "FLOWER_WITHOUT_PASSWORD": "1"}, PASSWORD_NEEDED),
    *(({"FLOWER_ADDRESS": one}, "FLOWER_BASIC_AUTH: required") for one in ("127.0.0.1", "::1", "localhost", "")),
    ({}, "set FLOWER_WITHOUT_PASSWORD=1 to allow every user of this machine"),
    ({"FLOWER_PORT": "0"}, "FLOWER_PORT"),
    ({"FLOWER_PORT": "x"}, "FLOWER_PORT"),
    ({"FLOWER_BASIC_AUTH": "word"}, "FLOWER_BASIC_AUTH: must be user:password"),
    ({"FLOWER_WITHOUT_PASSWORD": "yes"}, "FLOWER_WITHOUT_PASSWORD: must be 0 or 1"),
)
"""Variables → why Flower does not start; on loopback, too, which every user of the machine reaches."""


def test_flower_starts_for_nobody_without_a_password_and_names_the_variable_that_is_wrong() -> None:
    for env, problem in NOT_STARTED:
        result = CliRunner().invoke(flower, env=env)

        assert (result.exit_code, problem in result.stderr) == (2, True), (env, result.stderr)


def test_loopback_is_what_only_this_machine_reaches() -> None:
    assert [is_loopback(one) for one in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert [is_loopback(one) for one in ("", "0.0.0.0", "::", "localhost.example.com", "127.1.example")] == [False] * 5


def test_a_password_is_made_once_and_kept_where_only_its_user_reads_it(folder: Path) -> None:
    access, how = flower_access(folder)
    again, _ = flower_access(folder)
    kept = folder / "flower" / "password"

    user, _, password = access["FLOWER_BASIC_AUTH"].partition(":")
    assert access == again
    assert len(password) >= 32
    assert kept.read_text() == password
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert how == f"user {user}, password: cat {kept}"


def test_no_password_is_made_where_one_is_set_or_none_is_wanted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in (("FLOWER_BASIC_AUTH", "me:word"), ("FLOWER_WITHOUT_PASSWORD", "1")):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            access, how = flower_access(folder)

        assert access == {}
        assert variable in how
        assert "me:word" not in how
        assert list(folder.iterdir()) == []


@dataclass(frozen=True, kw_only=True)
class Flowers:
    """Two of them, for the users of this machine without a password, and for everybody with one; and their broker."""

    broker_url: str
    open: Flower
    guarded: Flower
    programs: dict[str, "subprocess.Popen[str]"]


SECRETS = {"DATABASE_URL": "postgresql://u:p@host/name", "SECRET_KEYS": "x" * 44}


@pytest.fixture(scope="module")
def flowers() -> Iterator[Flowers]:
    with a_folder() as folder, contextlib.contextmanager(_runs)() as run:
        valkey = Valkey(folder / "valkey")
        url = valkey.start()
        port, other = free_ports(2)
        made = Flower(port, password=""), Flower(other)
        common = {"REDIS_URL": url, "FLOWER_UNAUTHENTICATED_API": "1", "FLOWER_WITHOUT_PASSWORD": "1"}
        everywhere = {"FLOWER_ADDRESS": "0.0.0.0"} | SECRETS
        programs = {
            "open": run("flower", cwd=folder, **common, FLOWER_READ_ONLY="0", **made[0].env),
            "guarded": run("flower", cwd=folder, **common, **everywhere, **made[1].env),
        }
        for one in made:
            eventually(lambda flower=one: flower.status() == 200, 30, "Flower answering")
        yield Flowers(broker_url=url, open=made[0], guarded=made[1], programs=programs)
        valkey.stop()


def test_flower_keeps_the_newest_tasks_and_no_more_than_it_may(flowers: Flowers) -> None:
    shown = flowers.guarded
    words = Path(f"/proc/{flowers.programs['guarded'].pid}/cmdline").read_text().split("\0")
    (limit,) = [int(word.partition("=")[2]) for word in words if word.startswith("--max_tasks=")]
    app = Celery("telling", broker=flowers.broker_url, set_as_current=False)

    def tell(*names: str) -> None:
        """As workers do, many events in one message; that a task failed is what they tell last of it."""
        with (
            app.connection_for_write() as connection,
            app.events.Dispatcher(connection, hostname="w@here", buffer_group=["task"], buffer_limit=500) as events,
        ):
            for name in names:
                events.send("task-failed", uuid=name, exception="503, attempt 6; no attempts left", traceback="")
            events.flush()

    def is_known(name: str) -> bool:
        return shown.task(name).get("state") == "FAILURE"

    def is_heard() -> bool:
        tell("first")  # again and again: it may answer before it listens
        return is_known("first")

    eventually(is_heard, 20, "Flower listening")
    tell(*(f"early-{number}" for number in range(1_000)))
    eventually(lambda: is_known("early-999"), 20, "Flower knowing the early tasks")
    tell(*(f"late-{number}" for number in range(limit)))
    eventually(lambda: is_known(f"late-{limit - 1}"), 60, "Flower knowing the last task")

    assert set(shown.tasks()) == {f"late-{number}" for number in range(limit)}
    assert not is_known("first")
    app.close()


def test_flower_is_read_only_its_api_closed_and_no_password_shown(flowers: Flowers) -> None:
    free, guarded, programs = flowers.open, flowers.guarded, flowers.programs.values()

    assert free.status("/api/tasks") == 401
    assert free.status("/api/worker/shutdown/any", method="POST") in (401, 403)
    for path in ("/", "/tasks", "/workers?json=1", "/broker", "/api/tasks", "/api/workers", "/api/task/info/any"):
        assert guarded.status(path, password="") == guarded.status(path, password="me:wrong") == 401
    assert guarded.status("/api/tasks?limit=1") == 200
    assert guarded.status("/healthcheck", password="") == guarded.status("/metrics", password="") == 200  # for machines
    assert guarded.status("/api/worker/shutdown/any", method="POST") == 403
    shown = free.page("/broker")
    environments = "".join(Path(f"/proc/{one.pid}/environ").read_text() for one in programs)
    assert "REDIS_URL" in environments
    assert not any(name in environments for name in SECRETS)  # which it does not need
    command_lines = "".join(Path(f"/proc/{one.pid}/cmdline").read_text() for one in programs)
    for process in programs:  # whom no later test asks
        process.terminate()
        output, _ = process.communicate(timeout=20)
        shown += output
    password = urlsplit(flowers.broker_url).password
    assert password is not None
    assert password not in shown + command_lines
    assert "me:word" not in shown + command_lines


def test_up_brings_servers_runs_the_release_line_and_the_processes(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "Procfile").write_text(
        "release: sh -c 'echo release with ${DATABASE_URL%%:*}'\n"
        "worker: sh -c 'echo worker ${DISPATCHER_PROCESS:-1}; exec sleep 1000'\n"
        "other: sleep 1000\n"
    )
    process = run("up", "--scale", "worker=2", "--scale", "other=0", cwd=folder, MARK=str(folder))
    assert process.stdout is not None
    lines = [process.stdout.readline().rstrip("\n") for _ in range(8)]

    environment = running_environment(folder / ".dispatcher")
    assert set(environment) == {"DATABASE_URL", "REDIS_URL", "SECRET_KEYS", "PORT"}
    assert lines[0].startswith("Postgres  127.0.0.1:")
    assert lines[0].endswith(f"(data in {folder}/.dispatcher/postgres/data)")
    assert lines[2].startswith("URLs      .dispatcher/env ")
    assert "release with postgresql" in lines
    assert sorted(lines[-2:]) == ["worker.1   | worker 1", "worker.2   | worker 2"]
    monkeypatch.chdir(folder)
    second = CliRunner().invoke(up)
    assert f"is in use by process {process.pid}; stop it" in str(second.exception)

    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)

    assert process.returncode == 0
    assert running_environment(folder / ".dispatcher") == {}
    assert processes_with(f"MARK={folder}") == []
    secrets = [url.split("@")[0].rpartition(":")[2] for url in environment.values()]
    assert not any(secret in "\n".join(lines) + rest + second.output for secret in secrets)


@pytest.fixture
def usual_ports(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    def put(web: int, flower: int) -> None:
        monkeypatch.setattr("dispatcher.cli.up.web_address", lambda: ("127.0.0.1", web))
        monkeypatch.setattr("dispatcher.cli.up.flower_address", lambda: ("127.0.0.1", flower))

    return put


def test_usual_ports_that_are_free_are_taken_without_a_word(usual_ports: Callable[[int, int], None]) -> None:
    web, flower = free_ports(2)
    usual_ports(web, flower)

    assert list(choose_ports({"web", "flower"})) == [("PORT", str(web), ""), ("FLOWER_PORT", str(flower), "")]


def test_a_usual_port_that_is_taken_is_left_and_that_is_said(usual_ports: Callable[[int, int], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as web, socket.create_server(("127.0.0.1", 0)) as flower:
        taken = [one.getsockname()[1] for one in (web, flower)]
        usual_ports(*taken)
        (_, port, notice), (_, flower_port, flower_notice) = choose_ports({"web", "flower"})
        assert [said for _, _, said in choose_ports({"worker"})] == ["", ""]  # who does not run needs no port

    assert len({port, flower_port, *map(str, taken)}) == 4
    assert notice == (
        f"Port {taken[0]} is in use by another program; the API is at http://127.0.0.1:{port}/api/v3 instead."
    )
    assert f"Flower is at http://127.0.0.1:{flower_port} instead" in flower_notice


def test_up_says_first_where_it_is_not_at_the_usual_port(run: Run, folder: Path) -> None:
    (folder / "Procfile").write_text("web: sh -c 'echo web at $PORT; exec sleep 1000'\n")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # or somebody else has it
            stack.enter_context(socket.create_server(("127.0.0.1", 8000)))
        process = run("up", cwd=folder, MARK=str(folder), **NAMED)
        assert process.stdout is not None
        first = process.stdout.readline()
        lines = [first]
        while "web at" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert process.poll() is None

    port = lines[-1].split()[-1]
    assert first == f"Port 8000 is in use by another program; the API is at http://127.0.0.1:{port}/api/v3 instead.\n"
    assert f"API       http://127.0.0.1:{port}/api/v3\n" in lines
    assert running_environment(folder / ".dispatcher")["PORT"] == port
    process.terminate()
    assert process.wait(20) == 0


def test_a_port_that_was_asked_for_and_is_taken_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "Procfile").write_text("web: sleep 1000\nflower: sleep 1000\n")
    monkeypatch.chdir(folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for variable in ("PORT", "FLOWER_PORT"):
            free = dict(zip(("PORT", "FLOWER_PORT"), map(str, free_ports(2)), strict=True))
            refused = CliRunner().invoke(main, ["up"], env=free | {variable: port})

            problem = f"{variable}={port}: the port is in use; stop the other program, or choose another port"
            assert (refused.exit_code, refused.output) == (1, f"error: {problem}\n")
            assert not (folder / ".dispatcher" / "postgres").exists()


def test_a_port_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for port in ("0", "x", "65536", "-1"):
        monkeypatch.setenv("PORT", port)

        with pytest.raises(click.UsageError, match="PORT: must be a port"):
            list(choose_ports({"web"}))


def test_commands_that_act_on_a_database_refuse_another_machines_dispatcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_API", "https://hooks.example.com/api/v3")

    for command in ("status", "account list", "client list", "user list", "migrate", "reconcile", "repair"):
        done = CliRunner().invoke(main, command.split())
        assert done.exit_code == 1
        assert f"`{command.split()[0]}` needs a database, but DISPATCHER_API points to" in done.stderr


def test_up_ends_when_the_release_line_fails(run: Run, folder: Path) -> None:
    (folder / "Procfile").write_text("release: sh -c 'echo no such table; exit 7'\nworker: echo never\n")
    process = run("up", cwd=folder, MARK=str(folder), **NAMED)

    output, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert "no such table" in output
    assert "never" not in output
    assert "Postgres  db.example/name (from DATABASE_URL)" in output
    assert "hidden" not in output
    assert processes_with(f"MARK={folder}") == []


def test_up_does_not_run_on_the_servers_of_a_demo_and_a_sigkill_leaves_nothing_of_its_own(
    run: Run, folder: Path, made_data: Path
) -> None:
    (folder / "Procfile").write_text("worker: sh -c 'echo worker at $DATABASE_URL; exec sleep 1000'\n")
    demo = folder / ".dispatcher" / "demo"
    make_folder(demo)
    demos = lock_folder(demo)
    write_private(demo / "env", "DATABASE_URL=postgresql://demo/name\nREDIS_URL=redis://demo:1/0\nSECRET_KEYS=demo\n")
    copy_data(made_data, folder / ".dispatcher" / "postgres")

    process = run("up", cwd=folder, MARK=str(folder))

    assert process.stdout is not None
    line = ""
    while "worker at" not in line:
        line = process.stdout.readline()
        assert process.poll() is None
    assert urlsplit(line.split()[-1]).hostname == "127.0.0.1"  # not "demo"
    servers = [int((folder / ".dispatcher" / name / "server").read_text()) for name in ("postgres", "valkey")]
    assert all(map(is_alive, servers))

    process.kill()

    eventually(lambda: not processes_with(f"MARK={folder}") and not any(map(is_alive, servers)))
    demos.release()


def test_scaling_what_is_not_there_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "Procfile").write_text("release: true\nworker: sleep 1000\n")
    monkeypatch.chdir(folder)

    for scale in ("wroker=2", "worker", "worker=-1", "worker=x", "release=2"):
        result = CliRunner().invoke(up, ["--scale", scale])

        assert result.exit_code == 2, scale
        assert "expected NAME=N with NAME one of worker" in " ".join(result.stderr.split()), scale
        assert not (folder / ".dispatcher").exists()
