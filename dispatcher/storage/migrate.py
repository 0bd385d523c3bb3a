"""Migrations: brings the database to the state the code expects, and checks whether it is there.

Alembic is loaded when a function here is called: that takes as long as everything else that a command loads.
"""

import logging
import threading
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from dispatcher import clock, log
from dispatcher.connections.errors import took_too_long
from dispatcher.errors import PendingMigrations, StorageUnavailable
from dispatcher.storage.engine import Storage, rows

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

# Any number: two `dispatcher migrate` at once wait for each other on it.
_LOCK = 5_264_071


def upgrade(storage: Storage, patience_s: float = PATIENCE_S) -> str:
    """Runs what is missing, one transaction a migration; returns the revision reached. Harmless when doubled.

    A database that a later release has migrated is left as it is. Raises StorageUnavailable where locks were not free
    for `patience_s`; what is done by then stays done.
    """
    until_s, pauses = clock.monotonic() + patience_s, 0
    while True:
        try:
            with storage.transaction() as connection:
                revision, is_last = _next_one(connection)
            if is_last:
                return revision
            pauses = 0
        except StorageUnavailable as error:
            if not took_too_long(error) or clock.monotonic() >= until_s:
                raise
            logger.warning(log.line("migrate.waiting", reason="a transaction holds a table; see pg_stat_activity"))
            threading.Event().wait(_PAUSES_S[min(pauses, len(_PAUSES_S) - 1)])
            pauses += 1


def _next_one(connection: Connection) -> tuple[str, bool]:
    """Runs the next migration, if one is missing; returns the revision reached, and whether it was reached before."""
    from alembic import command  # noqa: PLC0415 -- Alembic is loaded by who migrates

    rows(connection, "set local statement_timeout = 0")
    rows(connection, "set local lock_timeout = 0")
    rows(connection, "select pg_advisory_xact_lock(%(lock)s)", {"lock": _LOCK})
    rows(connection, f"set local lock_timeout = {_LOCK_TIMEOUT_MS}")
    before = _revision(connection)
    if before is not None and (before == _newest() or before not in _known()):
        return before, True
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "+1")
    return _revision(connection) or "none", False


def check(storage: Storage) -> None:
    """Raises PendingMigrations unless every migration that this code knows has run.

    A revision that it does not know is a later release's: while machines are updated one after the other, a worker of
    the former release may start again. Migrations are written so that the former release works with them.
    """
    with storage.transaction() as connection:
        revision = _revision(connection)
    if revision is None or (revision != _newest() and revision in _known()):
        raise PendingMigrations


@cache
def _newest() -> str | None:
    """The revision that the code expects; it is read once, because /readyz asks for it all the time."""
    return _scripts().get_current_head()


@cache
def _known() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory  # noqa: PLC0415 -- Alembic is loaded by who migrates

    return ScriptDirectory.from_config(_config())


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 -- Alembic is loaded by who migrates

    config = Config()
    config.set_main_option("script_location", str(files("dispatcher.storage") / "migrations"))
    return config


def _revision(connection: Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 -- Alembic is loaded by who migrates

    return MigrationContext.configure(connection).get_current_revision()
