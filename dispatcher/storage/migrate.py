"""Migrations: brings the database to the state the code expects, and checks whether it is there.

Alembic is loaded by who migrates, and only where something is to be done: that takes as long as everything else that a
command loads. Which revisions there are, the files' names say.
"""

import logging
import re
import threading
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import psycopg2.errors
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from dispatcher import clock, log
from dispatcher.connections.errors import took_too_long
from dispatcher.errors import InvalidSetting, MissingSchema, PendingMigrations, StorageUnavailable, UnknownRevision
from dispatcher.storage.adoption import adopt
from dispatcher.storage.engine import Storage, rows, scalar

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

logger = logging.getLogger(__name__)

PATIENCE_S = 600.0
"""How long a migration waits for its locks, while somebody reads the tables: a dump, a report."""
# What is asked of a table while a migration waits for it must wait behind it. So it waits for a moment only, and then
# lets them all go first.
_LOCK_TIMEOUT_MS = 200
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)

_VERSION_TABLE = "dispatcher_version"
# Any number: two `dispatcher migrate` at once wait for each other on it.
_LOCK = 5_264_071


def upgrade(storage: Storage, patience_s: float = PATIENCE_S) -> str:
    """Runs what is missing, one transaction a migration; returns the revision reached. Harmless when doubled.

    A database that a later release has migrated is left as it is. Raises StorageUnavailable where locks were not free
    for `patience_s`; what is done by then stays done. Raises UnknownRevision and MissingSchema.
    """
    until_s, pauses = clock.monotonic() + patience_s, 0
    while True:
        try:
            with storage.transaction() as connection:
                revision, is_last = _next_one(connection, storage.schema)
            if is_last:
                return revision
            pauses = 0
        except StorageUnavailable as error:
            if not took_too_long(error) or clock.monotonic() >= until_s:
                raise
            logger.warning(log.line("migrate.waiting", reason="a transaction holds a table; see pg_stat_activity"))
            threading.Event().wait(_PAUSES_S[min(pauses, len(_PAUSES_S) - 1)])
            pauses += 1


def _next_one(connection: Connection, schema: str) -> tuple[str, bool]:
    """Runs the next migration, if one is missing; returns the revision reached, and whether it was reached before."""
    rows(connection, "set local statement_timeout = 0")
    rows(connection, "set local lock_timeout = 0")
    rows(connection, "select pg_advisory_xact_lock(%(lock)s)", lock=_LOCK)
    rows(connection, f"set local lock_timeout = {_LOCK_TIMEOUT_MS}")
    before = _revision(connection)
    if before is None:
        _make_schema(connection, schema)
        if old := adopt(connection, schema):
            logger.warning(log.line("migrate.moved", from_schema=old, to_schema=schema))
            before = _revision(connection)
    if before is not None and (before == _newest() or _is_later(before)):
        return before, True
    _run(connection, schema, _following(before))
    return _revision(connection) or "none", False


def _run(connection: Connection, schema: str, revision: str) -> None:
    """Runs that migration; `alembic.command.upgrade` would read them all again for each."""
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415 -- Alembic is loaded by who migrates
    from alembic.runtime.migration import MigrationStep  # noqa: PLC0415

    scripts = _scripts()
    step = MigrationStep.upgrade_from_script(scripts.revision_map, scripts.get_revision(revision))
    with EnvironmentContext(config(connection, schema), scripts, fn=lambda *_: [step]):
        scripts.run_env()


def _make_schema(connection: Connection, schema: str) -> None:
    """Unless it is there: then this role needs no right to create one."""
    if scalar(connection, "select quote_ident(%(name)s)", name=schema) != schema:
        raise InvalidSetting("DISPATCHER_SCHEMA", f"{schema} is a reserved word of SQL")
    if scalar(connection, "select to_regnamespace(%(name)s) is not null", name=schema):
        return
    try:
        rows(connection, f"create schema {schema}")
    except ProgrammingError as error:
        if isinstance(error.orig, psycopg2.errors.InsufficientPrivilege):
            raise MissingSchema(schema) from error
        raise


def check(storage: Storage) -> None:
    """Raises PendingMigrations unless every migration that this code knows has run.

    A revision that is higher than those is a later release's: while machines are updated one after the other, a worker
    of the former release may start again. Migrations are written so that the former release works with them. Raises
    UnknownRevision for any other.
    """
    with storage.transaction() as connection:
        revision = _revision(connection)
    if revision is None or (revision != _newest() and not _is_later(revision)):
        raise PendingMigrations


def _is_later(revision: str) -> bool:
    """Whether a later release has made it; raises UnknownRevision for one that is nobody's."""
    if revision in _known():
        return False
    if re.fullmatch("[0-9]{4}", revision) and revision > _newest():
        return True
    raise UnknownRevision(_VERSION_TABLE, revision)


@cache
def _known() -> tuple[str, ...]:
    """The revisions of this release, the first one first; read once, because /readyz asks for them all the time."""
    names = (file.name for file in (files("dispatcher.storage") / "migrations" / "versions").iterdir())
    return tuple(sorted(name[:4] for name in names if re.fullmatch(r"[0-9]{4}_\w+\.py", name)))


def _newest() -> str:
    """The revision that the code expects."""
    return _known()[-1]


def _following(revision: str | None) -> str:
    return _known()[0 if revision is None else _known().index(revision) + 1]


@cache
def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory  # noqa: PLC0415 -- Alembic is loaded by who migrates

    return ScriptDirectory.from_config(config())


def config(connection: Connection | None = None, schema: str = "") -> "Config":
    """Alembic's, for migrations in `schema` on that connection."""
    from alembic.config import Config  # noqa: PLC0415 -- Alembic is loaded by who migrates

    alembic = Config(attributes={"connection": connection, "schema": schema, "version_table": _VERSION_TABLE})
    alembic.set_main_option("script_location", str(files("dispatcher.storage") / "migrations"))
    return alembic


def _revision(connection: Connection) -> str | None:
    """None: the tables are not in the schema, or not in one of their own yet."""
    if not scalar(connection, f"select to_regclass('dispatcher.{_VERSION_TABLE}') is not null"):
        return None
    revision: str | None = scalar(connection, f"select version_num from dispatcher.{_VERSION_TABLE}")
    return revision
