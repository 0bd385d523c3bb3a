"""Attempts to sign in, counted in Redis for all processes.

dispatcher:sign_ins:<hash>   string   attempts in the window that the first began, with which it expires

A key holds a hash: people type their e-mails, and sometimes their passwords, into the field for the name.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from dispatcher.schedule.connection import connect, translated


class SharedSignInCounter:
    """The counts. Raises ScheduleUnavailable where Redis does not answer within `timeout_s`."""

    def __init__(self, url: str, *, window_s: float, timeout_s: float) -> None:
        self._redis = connect(url, timeout_s)
        self._window_ms = int(window_s * 1000)
        folder = files("dispatcher.schedule.scripts")
        self._count = self._redis.register_script((folder / "sign_ins.lua").read_text())
        self._forgive = self._redis.register_script((folder / "sign_ins_forgive.lua").read_text())

    def count(self, limits: Sequence[tuple[str, int]]) -> tuple[int, float] | None:
        """Counts an attempt under each name, in order, up to the first that has more than it may.

        Returns the place of that one and the seconds until its window ends; None where none has more.
        """
        arguments = [self._window_ms, *(most for _, most in limits)]
        with translated():
            place, left_ms = self._count(keys=[_key(name) for name, _ in limits], args=arguments)
        return (int(place) - 1, int(left_ms) / 1000) if int(place) else None

    def forgive(self, names: Sequence[str]) -> None:
        """The last attempt was right: those of the first name are forgotten, and of each other name this one."""
        with translated():
            self._forgive(keys=[_key(name) for name in names])

    def close(self) -> None:
        """Closes the connections."""
        self._redis.close()


def _key(name: str) -> str:
    return f"dispatcher:sign_ins:{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:32]}"
