"""Folders that a server which refuses root can reach, and the processes below a process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dispatcher.local.postgres import Postgres
from tests.support.places import a_folder

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder() -> Iterator[Path]:
    with a_folder() as made:
        yield made


@pytest.fixture(scope="session")
def made_data() -> Iterator[Path]:
    """A folder of Postgres' that has its data and is at rest: to make them takes longer than all else in most tests."""
    with a_folder() as made:
        server = Postgres(made / "postgres")
        server.start()
        server.stop()
        yield server.folder


@pytest.fixture
def folder_with_data(folder: Path, made_data: Path) -> Path:
    """A folder of the embedded servers in which Postgres has its data."""
    copy_data(made_data, folder / "postgres")
    return folder


def copy_data(made_data: Path, to: Path) -> None:
    """Whose the files are is put right when the server starts."""
    shutil.copytree(made_data, to)


@pytest.fixture(autouse=True)
def no_servers_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEYS", "PORT", "DISPATCHER_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name in ("FLOWER_ADDRESS", "FLOWER_PORT", "FLOWER_BASIC_AUTH", "FLOWER_WITHOUT_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python program given as text; what is left of it at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start_one(program: str, *arguments: object) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
