"""Programs that start in a tenth of the time: workers, web servers and commands, forked off one with all imports done.

Importing costs them more than all else they do in most tests. Here Celery, the drivers, the web framework and
`dispatcher` are imported once; `tasks`, which reads the environment, only in the worker. Whatever changes what an
import does (PYTHONPATH, LD_PRELOAD) needs a program of its own, as production starts it.

    with forked.running():                   in the main thread: the kernel ends a process with the thread that began it
        forked.start(command, ...)           as subprocess.Popen, as far as tests need it

Within `sharing` that is imported once for all processes of a run: each would need 2 s of CPU for it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TextIO

from dispatcher.processes import child
from tests.support.places import ROOT


def say(file: TextIO, words: Any) -> None:
    """A line of JSON; a side that has ended does not hear it."""
    with suppress(BrokenPipeError):
        file.write(f"{json.dumps(words)}\n")
        file.flush()


class Forked:
    """A process that was forked for us; as much of Popen as `Program` and `child.end` use."""

    def __init__(self, parent: "_Parent", pid: int) -> None:
        self._parent = parent
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._parent.ask(reap=self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        until_s = time.monotonic() + (timeout if timeout is not None else float("inf"))
        pause = threading.Event()
        while (code := self.poll()) is None:
            if time.monotonic() >= until_s:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
            pause.wait(0.01)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:  # until it is reaped, its pid is nobody else's
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Parent:
    """Asks the process that forks; from any thread, one question at a time."""

    def __init__(self, line: socket.socket) -> None:
        self._file = line.makefile("rw", encoding="utf-8")
        self._lock = threading.Lock()

    def ask(self, **question: Any) -> Any:
        with self._lock:
            say(self._file, question)
            return json.loads(self._file.readline())

    def close(self) -> None:
        with suppress(BrokenPipeError):  # of what was not said any more
            self._file.close()


_parent: _Parent | None = None
_ADDRESS = "PYTEST_FORKED"  # among the variables that no program gets


@contextmanager
def sharing() -> Iterator[None]:
    """While the block lasts, what `start` starts is forked off one process, here and in processes started meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "forked")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            process = child.start(
                [sys.executable, "-u", "-m", "tests.support.preloaded", str(listener.fileno())],
                death_signal=signal.SIGKILL,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=(listener.fileno(),),
            )
        os.environ[_ADDRESS] = address
        yield
        del os.environ[_ADDRESS]
        child.end(process, (signal.SIGTERM, 1.0))


@contextmanager
def running() -> Iterator[None]:
    """While the block lasts, `start` works in this process; one block may be within another."""
    global _parent
    with nullcontext() if _ADDRESS in os.environ else sharing(), socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ[_ADDRESS])
        before, _parent = _parent, _Parent(line)
        yield
        _parent.close()
        _parent = before


def suits(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether this program with these variables may be forked."""
    known = Path(command[0]).name in ("celery", "dispatcher", "python")
    return _parent is not None and known and not env.keys() & {"PYTHONPATH", "LD_PRELOAD"}


def start(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> Forked:
    """Starts `celery ...`, `dispatcher ...` or `python SCRIPT ...` with this environment and no other."""
    assert _parent is not None
    log.touch()  # somebody may read it before the process is there
    return Forked(_parent, _parent.ask(command=command, cwd=str(cwd), env=dict(env), log=str(log)))
