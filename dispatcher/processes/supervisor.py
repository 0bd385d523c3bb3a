"""Runs processes side by side, restarts those that end, and ends all of them with itself. It knows nothing of theirs.

The thread that calls `run` starts and ends them: the kernel ends the children when the thread that started them ends
(see child.py). A thread for each prints what it writes.
"""

import contextlib
import os
import queue
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
_LAST_LINES_S = 1.0
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
class _Supervised:
    """A process, whether it runs or is to be started again at `due_s`."""

    process: Process
    label: str
    due_s: float
    restarts: Restarts = field(default_factory=Restarts)
    popen: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    printer: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None


class Supervisor:
    """Runs `processes` until SIGINT, SIGTERM or SIGHUP; their lines go to `output`, each after its process's name.

    A process that ends is started again after a pause of 0.1 s, then 0.2 s and so on up to 30 s. After three crashes of
    a repairable one within 60 s `repair` is called, in another thread, once per burst. `watch` is called at least
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
        self._output_lock = threading.Lock()
        self._repair = repair
        self._watch = watch
        self._grace_s = grace_s
        coloured = self._output.isatty() and not variable("NO_COLOR")
        width = max(len(name) for name in ["supervisor", *(process.name for process in processes)])
        now = time.monotonic()
        self._all = [
            _Supervised(
                process=process,
                label=_label(process.name, width, _COLOURS[number % len(_COLOURS)] if coloured else None),
                due_s=now,
            )
            for number, process in enumerate(processes)
        ]
        self._label = _label("supervisor", width, 1 if coloured else None)
        self._stop_requests = 0
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()  # its `put` may be called in a signal handler

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
        """Prints a line under the supervisor's own name."""
        self._print(self._label, text)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Lets signals wake the loop; restores what was there before, and kills what still runs."""
        handlers = dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), self._stop)
        handlers[signal.SIGCHLD] = lambda *_: self._wake.put(None)
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for each in self._all:
                self._kill(each)
                self._forget(each)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, *_: object) -> None:
        self._stop_requests += 1
        self._wake.put(None)

    def _wait(self, timeout_s: float) -> None:
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=timeout_s)

    def _start_due(self) -> None:
        now = time.monotonic()
        for each in self._all:
            if each.popen is None and each.due_s <= now:
                each.popen = child.start(
                    ["/bin/sh", "-c", f"exec {each.process.command}"],  # one process: no shell stays in between
                    death_signal=signal.SIGKILL,
                    env=program_environment(each.process.env),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                each.started_s = now
                each.printer = threading.Thread(
                    target=self._print_lines, args=(each.label, each.popen.stdout), name=each.process.name, daemon=True
                )
                each.printer.start()

    def _next_due_s(self) -> float:
        """Seconds until something is to be done, 1 s at most: a lost wake-up costs no more."""
        now = time.monotonic()
        return max(0.0, min([each.due_s - now for each in self._all if each.popen is None] + [1.0]))

    def _print_lines(self, label: str, stdout: IO[bytes]) -> None:
        """Prints what a process writes until nobody can write there any more."""
        with stdout:
            while line := stdout.readline(_LONGEST_LINE):
                if text := line.decode(errors="replace").rstrip("\r\n"):
                    self._print(label, text)

    def _collect(self) -> None:
        """Notes which processes have ended and when they are started again."""
        for each in self._all:
            if each.popen is None or (code := each.popen.poll()) is None:
                continue
            self._forget(each)
            now = time.monotonic()
            pause_s, repair = each.restarts.record(started_s=each.started_s, ended_s=now, crashed=code != 0)
            each.due_s = now + pause_s
            self.say(f"{each.process.name} {_ending(code)}; again in {pause_s:g} s")
            if repair and each.process.repairable and self._repair is not None:
                self.say(f"{each.process.name} crashes again and again; repairing")
                threading.Thread(target=self._repair, name="repair", daemon=True).start()

    def _forget(self, each: _Supervised) -> None:
        """Ends what an ended process has left behind in its session, after its last lines."""
        if each.popen is None or each.printer is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(each.popen.pid, signal.SIGKILL)
        each.printer.join(_LAST_LINES_S)
        each.popen = None

    def _end(self) -> int:
        running = [each for each in self._all if each.is_running]
        self.say("stopping: " + (", ".join(each.process.name for each in running) or "nothing runs"))
        for each in running:
            if each.popen is not None:  # it alone: SIGTERM to its group would break the tasks of a prefork pool
                each.popen.send_signal(signal.SIGTERM)
        end = time.monotonic() + self._grace_s
        while any(each.is_running for each in running) and self._stop_requests < 2 and time.monotonic() < end:
            self._wait(min(1.0, max(0.0, end - time.monotonic())))
        killed = [each for each in running if each.is_running]
        for each in killed:
            self.say(f"{each.process.name} does not end; killed")
            self._kill(each)
        return 1 if killed else 0

    def _kill(self, each: _Supervised) -> None:
        """Kills the process and what it started, which is in its session."""
        if each.popen is not None and each.is_running:
            os.killpg(each.popen.pid, signal.SIGKILL)
            each.popen.wait()

    def _print(self, label: str, text: str) -> None:
        try:
            with self._output_lock:
                self._output.write(f"{label}{text}\n")
                self._output.flush()
        except BrokenPipeError:  # `dispatcher up | tee`, and Ctrl-C ended `tee` first: go on in silence, and stop
            self._output = Path(os.devnull).open("w")  # noqa: SIM115 -- open as long as we live
            self._stop_requests = self._stop_requests or 1
            self._wake.put(None)


def _label(name: str, width: int, colour: int | None) -> str:
    label = f"{name.ljust(width)} | "
    return label if colour is None else f"\x1b[{colour}m{label}\x1b[0m"


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
