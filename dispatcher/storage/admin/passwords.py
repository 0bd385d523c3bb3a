"""People's passwords: argon2id with the library's own parameters, which it raises with the years."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()
_NOBODYS = _hasher.hash("no password has this hash")
_GIVES_WAY = 10
"""Niceness of who hashes: what else this machine does goes first."""


def _give_way() -> None:
    if sys.platform == "linux":  # where a thread has a niceness of its own, and hands it on to those of argon2
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GIVES_WAY)


# One hash takes 64 MiB and, by four threads, all cores for a moment: one at a time in a process.
_one = ThreadPoolExecutor(1, thread_name_prefix="password", initializer=_give_way)


def hash_password(password: str) -> str:
    """What is stored of a password."""
    return _one.submit(_hasher.hash, password).result()


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether the hash was made of the password. Takes as long where there is no hash: nobody learns who exists."""
    return _one.submit(_is_right, password, password_hash or _NOBODYS).result() and password_hash is not None


def _is_right(password: str, password_hash: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
