"""Errors of Postgres in our words, whichever driver or SQLAlchemy raises them: no driver is imported for it.

Drivers name their classes as PEP 249 does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from dispatcher.errors import StorageLockTimeout, StorageUnavailable

T = TypeVar("T")

READ_ONLY = "25006"
"""What a standby answers to a write."""
TRANSIENT = frozenset({"40001", "40P01"})
"""Serialization failure (also: "row moved to another partition"), deadlock."""
_SHUTTING_DOWN = {"57P01", "57P02", "57P03"}  # shut down, crashed or starting
_LOCKED = "55P03"  # a statement waited for a lock for longer than it may
_TOO_LONG = {"57014", _LOCKED}  # or took longer than it may
_TOO_MUCH = {"57014", "53200", "54000"}  # or takes more memory, or passes a limit
_FULL, _CONNECTION = "53", "08"  # classes: too many connections, disk or memory full; the connection broke
_ATTEMPTS = 5


def sqlstate(error: object) -> str:
    """Postgres' code of an error, a driver's or SQLAlchemy's; "" where it is no error of Postgres'."""
    original = getattr(error, "orig", error)
    return getattr(original, "pgcode", None) or getattr(original, "sqlstate", None) or ""


def took_too_long(error: StorageUnavailable) -> bool:
    """Whether Postgres is there, and only a lock was not free in time, or a statement not done."""
    return sqlstate(error.__cause__) in _TOO_LONG


def asked_too_much(error: Exception) -> bool:
    """Whether Postgres might do it with less at once: it took too long, too much memory, or passed a limit."""
    return sqlstate(error.__cause__ if isinstance(error, StorageUnavailable) else error) in _TOO_MUCH


def repeated(work: Callable[[], T], is_transient: Callable[[str], bool] = TRANSIENT.__contains__) -> T:
    """What `work` returns; it is run again where Postgres' code `is_transient`, at most 5 times."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return work()
        except Exception as error:  # of any driver: all but the transient ones are raised again
            if not is_transient(sqlstate(error)):
                raise
            if attempt == _ATTEMPTS:
                raise unavailable(error) from error
    raise AssertionError("unreachable")


@contextmanager
def translated() -> Iterator[None]:
    """Turns "no answer" in its many shapes into StorageUnavailable; what is left is our fault, or that of values."""
    try:
        yield
    except Exception as error:  # of any driver: what is no loss is raised again
        if _is_loss(error):
            raise unavailable(error) from error
        raise


def unavailable(error: object) -> StorageUnavailable:
    """What is raised for an error that says that Postgres did not do its work."""
    first_line = (str(getattr(error, "orig", error)).strip().splitlines() or ["connection lost"])[0]
    code = sqlstate(error)
    is_there = code[:2] == _FULL or code in _TOO_LONG | TRANSIENT | {READ_ONLY}
    said = f"Postgres {'refuses' if is_there else 'is not reachable'}: {first_line}"
    return StorageLockTimeout(said) if code == _LOCKED else StorageUnavailable(said)


def _is_loss(error: Exception) -> bool:
    if getattr(error, "connection_invalidated", False):  # SQLAlchemy's
        return True
    code, kinds = sqlstate(error), {kind.__name__ for kind in type(getattr(error, "orig", error)).__mro__}
    if "InterfaceError" in kinds or code == READ_ONLY:
        return True
    return (
        "OperationalError" in kinds
        and (  # without a code the connection itself broke
            code[:2] in ("", _CONNECTION, _FULL) or code in _SHUTTING_DOWN | _TOO_LONG
        )
    )
