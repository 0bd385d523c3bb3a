"""What an emit needs of a connection, whatever its library, and how one emit serves synchronous and asynchronous ones.

An emit is written once, with `await` before each statement. On a synchronous connection none of them waits, so that
`completed` runs the whole of it without an event loop.
"""

import re
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]
_PARAMETER = re.compile(r"%\((\w+)\)s")


class Planned(str):
    """SQL in which each `%(name)s` has its type by a cast or by its place: a server's connections plan it once."""

    __slots__ = ()


class Adapter(Protocol):
    """Runs statements on a connection, as part of whatever transaction it is in."""

    async def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """The rows of one statement with `%(name)s` parameters, as tuples, whatever the connection makes of rows."""

    async def commits_each(self) -> bool:
        """Whether the connection is outside a transaction, and each statement is a transaction of its own."""

    def copies(self) -> bool:
        """Whether it takes `copy`: COPY costs Postgres half of an INSERT."""

    async def copy(self, table: str, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
        """Stores `lines` by COPY."""


class InsertsOnly:
    """The part of an Adapter without COPY."""

    def copies(self) -> bool:
        """Never."""
        return False

    async def copy(self, table: str, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
        """Raises NotImplementedError: `copies` says so."""
        raise NotImplementedError


@cache
def numbered(sql: str, cast: str = "") -> tuple[str, tuple[str, ...]]:
    """The statement with `$1` for `%(name)s`, each with a `cast` such as `::text`, and the names in that order."""
    names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
    return _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}{cast}", sql).replace("%%", "%"), names


def array(values: Iterable[object]) -> str:
    """`values` as Postgres writes an array: one constant for it to parse, where psycopg2 would send one for each."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def completed(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; it must not wait for anything, which it does not on a synchronous connection."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    work.close()
    raise RuntimeError("the connection is asynchronous")
