"""Processes that do not outlive the process that started them, even when that is killed by SIGKILL (Linux).

The kernel sends the signal when the *thread* that started the process ends: start them from a thread that lives as
long as they shall, the main thread at best. Elsewhere than on Linux they outlive a SIGKILL of their owner.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

# Loaded here, before any fork: the child of a process with threads must not load libraries.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn`: the child gets this signal when its parent ends."""
    parent = os.getpid()

    def set_death_signal() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it ended before; no signal will come
            os._exit(1)

    return set_death_signal


@dataclass(frozen=True, kw_only=True, slots=True)
class OsUser:
    """Whom a program runs as."""

    uid: int
    gid: int


def start(
    command: Sequence[str], *, death_signal: signal.Signals, user: OsUser | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Starts `command` in a session of its own (Ctrl-C does not reach it). `options` are Popen's."""
    if user is not None:
        options |= {"user": user.uid, "group": user.gid, "extra_groups": []}
    # Python changes the user first and calls preexec_fn then; the other way round the kernel would forget the signal.
    return subprocess.Popen(
        command, start_new_session=True, preexec_fn=die_with_parent(death_signal), close_fds=True, **options
    )


def start_line(command: str, **options: Any) -> subprocess.Popen[bytes]:
    """Starts a line of the Procfile in the place of its shell, which finds it on the PATH of `env`; see `start`."""
    return start(["/bin/sh", "-c", f"exec {command}"], death_signal=signal.SIGKILL, **options)


def end_all(processes: Collection[subprocess.Popen[bytes]], within_s: float) -> None:
    """SIGTERM to all at once; SIGKILL to those that have not ended by then, or when this is interrupted."""
    until_s = time.monotonic() + within_s
    try:
        for process in processes:
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until_s - time.monotonic()))
    finally:
        for process in processes:
            end(process)


def end(process: subprocess.Popen[bytes], *numbers: tuple[signal.Signals, float]) -> None:
    """Sends the signals in turn until the process has ended, waiting the given seconds after each; at last SIGKILL."""
    for number, wait_s in numbers:
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)
    if process.poll() is None:
        process.kill()
    process.wait()
