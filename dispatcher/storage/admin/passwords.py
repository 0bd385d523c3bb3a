"""People's passwords: argon2id with the library's own parameters, which it raises with the years."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_GIVES_WAY = 10
"""Niceness of who hashes: what else this machine does goes first."""


def _give_way() -> None:
    if sys.platform == "linux":  # where a thread has a niceness of its own, and hands it on to those of argon2
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GIVES_WAY)


# One hash takes its memory and, by four threads, all cores for a moment: one at a time in a process.
_one = ThreadPoolExecutor(1, thread_name_prefix="password", initializer=_give_way)


class Passwords:
    """Makes and checks hashes; one takes `memory_kib` KiB."""

    def __init__(self, memory_kib: int) -> None:
        self._hasher = PasswordHasher(memory_cost=memory_kib)

    def hash(self, password: str) -> str:
        """What is stored of a password."""
        return _one.submit(self._hasher.hash, password).result()

    def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether the hash was made of the password. Takes as long without a hash: nobody learns who exists."""
        is_right = _one.submit(self._fits, password, password_hash).result()
        return is_right and password_hash is not None

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("no password has this hash")

    def _fits(self, password: str, password_hash: str | None) -> bool:
        try:
            return self._hasher.verify(password_hash or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
