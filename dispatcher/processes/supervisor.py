"""Runs processes side by side, starts again what ends, and ends all of them with itself. It knows nothing of theirs.

One thread does it all: the kernel ends the children when the thread that started them ends (see child.py).
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TextIO

from dispatcher.environment import program_environment, variable
from dispatcher.processes import child
from dispatcher.processes.restarts import Restarts

GRACE_S = 45.0  # a worker ends its running requests first
_LONGEST_LINE = 65_536
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One process: the name before its log lines, a shell line that can be `exec`ed, and its whole environment.

    `repairable` says that what it reads may be why it crashes; others, such as Flower, call for no repair.
    """

    name: str
    command: str
    env: Mapping[str, str]
    repairable: bool = True


@dataclass(kw_only=True, slots=True, eq=False)
class _Running:
    """A process of ours, whether it runs or waits to be started again at `due_s`."""

    process: Process
    label: str
    due_s: float
    restarts: Restarts = field(default_factory=Restarts)
    popen: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    rest: bytes = b""


class Supervisor:
    """Runs `processes` until SIGINT, SIGTERM or SIGHUP; their lines go to `output`, each after its process's name.

    A process that ends is started again after a pause of 0.5 s, then 1 s and so on up to 30 s. After three crashes of
    a repairable one within 60 s `repair` is called, in a thread of its own, once per burst. `watch` is called at least
    once a second in this thread, for what else must be kept alive.
    """

    def __init__(
        self,
        processes: Sequence[Process],
        output: TextIO | None = None,
        repair: Callable[[], None] | None = None,
        watch: Callable[[], None] | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._output = output or sys.stdout
        self._repair = repair
        self._watch = watch
        self._grace_s = grace_s
        coloured = self._output.isatty() and not variable("NO_COLOR")
        width = max([len(process.name) for process in processes] + [len("supervisor")])
        now = time.monotonic()
        self._all = [
            _Running(
                process=process,
                label=_label(process.name, width, _COLOURS[number % len(_COLOURS)] if coloured else None),
                due_s=now,
            )
            for number, process in enumerate(processes)
        ]
        self._own_label = _label("supervisor", width, 1 if coloured else None)
        self._selector = selectors.DefaultSelector()
        self._stop_requests = 0

    def run(self) -> int:
        """Returns 0 when all processes ended by themselves after the signal, 1 when one had to be killed.

        1. At the signal every process gets SIGTERM and 45 s.
        2. What is still there then, or at a second signal, is killed.
        """
        with self._signals():
            while not self._stop_requests:
                self._start_due()
                self._wait(self._next_due_s())
                self._collect()
                if self._watch is not None:
                    self._watch()
            return self._end()

    def say(self, text: str) -> None:
        """A line of the supervisor's own."""
        self._print(self._own_label, text)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Lets signals wake the loop; restores what was there before."""
        wake, waker = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(waker, False)
        handlers = dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), self._on_stop)
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)  # without one it would not wake us
        waker_before = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._selector.register(wake, selectors.EVENT_READ)
        try:
            yield
        finally:
            for running in self._all:
                if running.popen is not None:
                    self._kill(running)
                    self._forget(running)
            self._selector.unregister(wake)
            signal.set_wakeup_fd(waker_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(wake)
            os.close(waker)

    def _on_stop(self, *_: object) -> None:
        self._stop_requests += 1

    def _start_due(self) -> None:
        now = time.monotonic()
        for running in self._all:
            if running.popen is None and running.due_s <= now:
                running.popen = child.start_line(
                    running.process.command,
                    env=program_environment(running.process.env),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                running.started_s = now
                assert running.popen.stdout is not None  # noqa: S101 -- it is a pipe
                os.set_blocking(running.popen.stdout.fileno(), False)
                self._selector.register(running.popen.stdout, selectors.EVENT_READ, running)

    def _next_due_s(self) -> float:
        """Seconds until something is to be done, 1 s at most: a lost wake-up costs no more."""
        now = time.monotonic()
        return max(0.0, min([running.due_s - now for running in self._all if running.popen is None] + [1.0]))

    def _wait(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            if isinstance(key.data, _Running):
                self._forward(key.data)
            else:
                _read(key.fd)

    def _forward(self, running: _Running) -> bool:
        """Prints the lines that a process has written since; the rest waits for its end of line. Whether it wrote."""
        stdout = running.popen.stdout if running.popen is not None else None
        if stdout is None or stdout.closed:
            return False
        part = _read(stdout.fileno())
        if part == b"":  # nobody writes there any more
            self._close(stdout)
        *lines, running.rest = (running.rest + (part or b"")).split(b"\n")
        if len(running.rest) > _LONGEST_LINE or stdout.closed:
            lines.append(running.rest)
            running.rest = b""
        for line in filter(None, lines):
            self._print(running.label, line.decode(errors="replace").rstrip("\r"))
        return bool(part)

    def _close(self, stdout: IO[bytes]) -> None:
        self._selector.unregister(stdout)
        stdout.close()

    def _collect(self) -> None:
        """Notes which processes have ended and when they are started again."""
        for running in self._all:
            if running.popen is None or (code := running.popen.poll()) is None:
                continue
            self._forget(running)
            now = time.monotonic()
            pause_s, repair = running.restarts.record(started_s=running.started_s, ended_s=now, crashed=code != 0)
            running.due_s = now + pause_s
            self.say(f"{running.process.name} {_ending(code)}; again in {pause_s:g} s")
            if repair and running.process.repairable and self._repair is not None:
                self.say(f"{running.process.name} crashes again and again; repairing")
                threading.Thread(target=self._repair, name="repair", daemon=True).start()

    def _forget(self, running: _Running) -> None:
        """Ends what an ended process has left behind in its session, prints its last lines, lets go of its pipe."""
        if running.popen is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.popen.pid, signal.SIGKILL)
        while self._forward(running):
            pass
        if running.popen.stdout is not None and not running.popen.stdout.closed:
            self._close(running.popen.stdout)
        running.popen = None

    def _end(self) -> int:
        alive = self._alive()
        self.say("stopping: " + (", ".join(running.process.name for running in alive) or "nothing runs"))
        for running in alive:
            _send(running, signal.SIGTERM)
        end = time.monotonic() + self._grace_s
        while self._alive() and self._stop_requests < 2 and time.monotonic() < end:
            self._wait(min(1.0, max(0.0, end - time.monotonic())))
        killed = self._alive()
        for running in killed:
            self.say(f"{running.process.name} does not end; killed")
            self._kill(running)
        return 1 if killed else 0

    def _alive(self) -> list[_Running]:
        return [running for running in self._all if running.popen is not None and running.popen.poll() is None]

    def _kill(self, running: _Running) -> None:
        """Kills the process and what it started, which is in its session."""
        if running.popen is not None and running.popen.poll() is None:
            os.killpg(running.popen.pid, signal.SIGKILL)
            running.popen.wait()

    def _print(self, label: str, text: str) -> None:
        try:
            self._output.write(f"{label}{text}\n")
            self._output.flush()
        except BrokenPipeError:  # `dispatcher up | tee`, and Ctrl-C ended `tee` first: go on in silence, and stop
            self._output = Path(os.devnull).open("w")  # noqa: SIM115 -- open as long as we live
            self._stop_requests = self._stop_requests or 1


def _label(name: str, width: int, colour: int | None) -> str:
    label = f"{name.ljust(width)} | "
    return label if colour is None else f"\x1b[{colour}m{label}\x1b[0m"


def _read(fd: int) -> bytes | None:
    """What is there to read; nothing (None) or the end (b"")."""
    try:
        return os.read(fd, 65_536)
    except BlockingIOError:
        return None


def _send(running: _Running, number: signal.Signals) -> None:
    """Signals the process alone. Sent to its whole group, SIGTERM would break the tasks of a worker's prefork pool."""
    if running.popen is not None:
        running.popen.send_signal(number)


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
