"""DATABASE_URL with several hosts, and servers that have become standbys."""

import socket
from urllib.parse import SplitResult, urlsplit

import pytest

from dispatcher.errors import InvalidSetting, StorageUnavailable
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.secrets import SecretBox
from tests.support.builders import SECRET_KEY


def a_storage(url: str) -> Storage:
    return Storage(url, SecretBox([SECRET_KEY]), pool_size=1)


def with_hosts(url: str, hosts: str) -> SplitResult:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{login}@{hosts.replace('*', str(parts.port))}", query="target_session_attrs=any")


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_the_host_that_answers_is_taken(database_url: str, closed_port: int) -> None:
    storage = a_storage(with_hosts(database_url, f"127.0.0.1:{closed_port},127.0.0.1:*").geturl())

    assert storage.transact(rows, "select 1") == [(1,)]
    storage.close()


def test_no_error_tells_the_password(database_url: str, closed_port: int) -> None:
    storage = a_storage(with_hosts(database_url, f"127.0.0.1:{closed_port},localhost:{closed_port}").geturl())

    with pytest.raises(StorageUnavailable) as caught:
        storage.transact(rows, "select 1")
    assert str(urlsplit(database_url).password) not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://dave:hunter2@[::1/x", "postgresql://dave:hunter2@h/x?hunter2", "postgres://h/x?hunter2=1"]
)
def test_a_url_that_libpq_does_not_understand_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        a_storage(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("way", ["transact", "autocommit"])
def test_a_server_that_has_become_a_standby_is_left(database_url: str, way: str) -> None:
    storage = a_storage(database_url)
    write = getattr(storage, way)
    storage.transact(rows, "create table mark (number int)")
    storage.transact(rows, "set default_transaction_read_only = on")

    with pytest.raises(StorageUnavailable):
        write(lambda connection: rows(connection, "insert into mark values (1)"))

    write(lambda connection: rows(connection, "insert into mark values (2)"))  # by a new connection
    assert storage.transact(rows, "select number from mark") == [(2,)]
    storage.close()
