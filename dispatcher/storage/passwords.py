"""People's passwords: argon2id with the library's own parameters, which it raises with the years."""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()
# One hash takes 64 MiB and four cores' time for a moment: many who sign in at once wait for each other instead.
_few = threading.Semaphore(2)
_NOBODYS = _hasher.hash("no password has this hash")


def hash_password(password: str) -> str:
    """What is stored of a password."""
    with _few:
        return _hasher.hash(password)


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether the hash was made of the password. Takes as long where there is no hash: nobody learns who exists."""
    with _few:
        try:
            right = _hasher.verify(password_hash or _NOBODYS, password)
        except (VerificationError, InvalidHashError):
            return False
    return right and password_hash is not None
