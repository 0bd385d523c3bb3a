"""Migrations: brings the database to the state the code expects, and tells whether it is there.

Alembic is loaded when a function here is called: that takes as long as everything else that a command loads.
"""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from dispatcher.errors import StorageOutdated
from dispatcher.storage.engine import Storage, rows

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

# Any number: two `dispatcher migrate` at once wait for each other on it.
_LOCK = 5_264_071


def upgrade(storage: Storage) -> str:
    """Runs what is missing, one transaction a migration; returns the revision reached. Harmless when doubled.

    A database that a later release has migrated is left as it is.
    """
    from alembic import command

    with storage.transaction() as connection:
        rows(connection, "set local statement_timeout = 0")
        rows(connection, "select pg_advisory_xact_lock(%(lock)s)", {"lock": _LOCK})
        if (ahead := _revision(connection)) is not None and ahead not in _known():
            return ahead
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return _revision(connection) or "none"


def check(storage: Storage) -> None:
    """Raises StorageOutdated unless every migration that this code knows has run.

    A revision that it does not know is a later release's: while machines are updated one after the other, a worker of
    the former release may start again. Migrations are written so that the former release works with them.
    """
    with storage.transaction() as connection:
        revision = _revision(connection)
    if revision is None or (revision != _newest() and revision in _known()):
        raise StorageOutdated


@cache
def _newest() -> str | None:
    """The revision that the code expects; it is read once, because /readyz asks for it all the time."""
    return _scripts().get_current_head()


@cache
def _known() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("dispatcher.storage") / "migrations"))
    return config


def _revision(connection: Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()
