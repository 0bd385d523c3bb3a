"""Which adapter a connection takes. No library is imported for it that the service has not imported itself."""

import sys
from importlib import import_module
from inspect import isawaitable
from typing import Any, NamedTuple

from dispatcher.connections.adapter import Adapter
from dispatcher.connections.schema import USUAL, InSchema


class _Kind(NamedTuple):
    """`name` in `library` is the type; `adapter` in `dispatcher.connections.<module>` is made of one."""

    library: str
    name: str
    module: str
    adapter: str


_SYNC = (
    _Kind("psycopg2.extensions", "connection", "psycopg2", "Psycopg2"),
    _Kind("sqlalchemy", "Connection", "sqlalchemy", "SqlAlchemy"),
    _Kind("sqlalchemy.orm", "Session", "sqlalchemy", "of_session"),
    _Kind("sqlalchemy.orm", "scoped_session", "sqlalchemy", "of_session"),
    _Kind("psycopg", "Connection", "psycopg", "Psycopg"),
    _Kind("django.db.backends.base.base", "BaseDatabaseWrapper", "django", "Django"),
    _Kind("django.utils.connection", "ConnectionProxy", "django", "Django"),
)
_ASYNC = (
    _Kind("asyncpg", "Connection", "asyncpg", "Asyncpg"),
    _Kind("psycopg", "AsyncConnection", "psycopg", "AsyncPsycopg"),
    _Kind("sqlalchemy.ext.asyncio", "AsyncConnection", "sqlalchemy", "AsyncSqlAlchemy"),
    _Kind("sqlalchemy.ext.asyncio", "AsyncSession", "sqlalchemy", "of_async_session"),
    _Kind("sqlalchemy.ext.asyncio", "async_scoped_session", "sqlalchemy", "of_async_session"),
)
_SYNC_NAMES = (
    "a connection of psycopg2 or psycopg 3, a SQLAlchemy Connection, Session or scoped_session, or a Django connection"
)
_ASYNC_NAMES = (
    "a connection of asyncpg, a psycopg 3 AsyncConnection, or a SQLAlchemy AsyncConnection, AsyncSession or"
    " async_scoped_session"
)


def adapter_for(connection: object) -> Adapter:
    """The adapter of a synchronous connection; raises TypeError, which names what is one."""
    if isinstance(connection, InSchema):
        return connection
    adapter: Adapter | None = _adapter_of(connection, _SYNC)
    if adapter is None:
        hint = "; this one is asynchronous: await dispatcher.aemit" if _kind_of(connection, _ASYNC) else ""
        raise TypeError(f"connection must be {_SYNC_NAMES}, not {_type_name(connection)}{hint}")
    return adapter


def connection_in_schema(connection: object, schema: str) -> object:
    """What `adapter_for` takes in the place of a synchronous connection, for tables in `schema`."""
    return connection if schema == USUAL else InSchema(adapter_for(connection), schema)


async def async_adapter_for(connection: object) -> Adapter:
    """The adapter of an asynchronous connection; raises TypeError, which names what is one."""
    result = _adapter_of(connection, _ASYNC)
    adapter: Adapter | None = await result if isawaitable(result) else result
    if adapter is None:
        hint = "; this one is synchronous: call dispatcher.emit" if _kind_of(connection, _SYNC) else ""
        raise TypeError(f"connection must be {_ASYNC_NAMES}, not {_type_name(connection)}{hint}")
    return adapter


_adapters: dict[tuple[type, bool], Any] = {}
"""What has been recognised, by class and whether it is asynchronous: emits are many, and their classes few."""


def _adapter_of(connection: object, kinds: tuple[_Kind, ...]) -> Any:
    class_ = connection.__class__  # of what a tracer's proxy stands for; `type` would be the proxy's
    adapter = _adapters.get((class_, kinds is _ASYNC))
    if adapter is None:
        kind = _kind_of(connection, kinds)
        if kind is None:
            return None
        adapter = getattr(import_module(f"dispatcher.connections.{kind.module}"), kind.adapter)
        _adapters[class_, kinds is _ASYNC] = adapter
    return adapter(connection)


def _kind_of(connection: object, kinds: tuple[_Kind, ...]) -> _Kind | None:
    for kind in kinds:
        library = sys.modules.get(kind.library)  # who hands one over has loaded it
        if library is not None and isinstance(connection, getattr(library, kind.name, ())):
            return kind
    return None


def _type_name(connection: object) -> str:
    return f"{type(connection).__module__}.{type(connection).__qualname__}"
