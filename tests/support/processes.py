"""Programs that a test starts, and what runs on this machine."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dispatcher.environment import program_environment
from dispatcher.processes import child
from tests.support import forked

PROGRAMS = Path(sys.executable).parent
Process = forked.Forked | subprocess.Popen[bytes]

# Variables that somebody may have exported, and that would point our processes elsewhere.
_FOREIGN = ("PORT", "DATABASE_URL", "REDIS_URL", "BROKER_URL", "SECRET_KEYS")


class Program:
    """A process whose output goes to a file; it ends when the tests end, however they end."""

    def __init__(
        self, command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], log: Path, may_fork: bool = False
    ) -> None:
        """With `may_fork` it is one that `forked` starts, where that suits it."""
        self.log = log
        words = [str(word) for word in command]
        env = program_environment({**clean_environment(), **env})
        self._process = (start_or_fork if may_fork else start)(words, cwd=cwd, env=env, log=log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, within_s: float) -> int:
        """The exit code; minus the signal's number where one ended it."""
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.log.name} did not end within {within_s} s") from None

    def kill(self) -> None:
        """As by `kill -9`; returns when the process is gone."""
        self._process.kill()
        self._process.wait()

    def clear_away(self) -> None:
        """Kills it and what it has started; honcho gives its processes sessions of their own."""
        family = [self.pid, *_descendants(self.pid)]
        if not self.ended:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()


def start(words: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> Process:
    """A process that ends with us."""
    with log.open("ab") as output:
        return child.start(
            words,
            death_signal=signal.SIGKILL,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def start_or_fork(words: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> Process:
    """The same; a fork where there is somebody to fork it, and that suits it."""
    return (forked.start if forked.suits(words, env) else start)(words, cwd=cwd, env=env, log=log)


def cpu_s(pid: int) -> float:
    """CPU seconds that the process and those below it have used, those that ended and were waited for among them.

    Other work on the machine adds none. 0 where the system has no /proc.
    """
    ticks = 0
    for each in (pid, *_descendants(pid)):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            ticks += sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int, *, peak: bool = False) -> float:
    """Megabytes in RAM of a process: now, or the most it ever had."""
    name = "VmHWM" if peak else "VmRSS"
    (kilobytes,) = re.findall(rf"{name}:\s+([0-9]+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) / 1024


def _descendants(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for found in map(int, thread.read_text().split()):
                yield found
                yield from _descendants(found)


def clean_environment() -> dict[str, str]:
    """Ours without what names servers, keys or settings of somebody."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _FOREIGN and not name.startswith(("DISPATCHER_", "FLOWER_", "PYTEST_", "PG"))
    }


def processes_with(word: str) -> list[int]:
    """The ids of the living processes whose command line or environment has the word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if word.encode() in text:
                found.append(int(entry.name))
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def run(programs: list[Program], folder: Path, *arguments: str, **env: str) -> Program:
    """`dispatcher <arguments>` in `folder`; what starts processes itself is started as a person starts it."""
    log, may_fork = folder / f"{len(programs)}-{arguments[0]}.log", arguments[0] not in ("demo", "up")
    programs.append(Program([PROGRAMS / "dispatcher", *arguments], cwd=folder, env=env, log=log, may_fork=may_fork))
    return programs[-1]
