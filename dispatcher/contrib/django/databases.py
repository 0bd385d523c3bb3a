"""The dispatcher's database is one of Django's: `DISPATCHER = {"DATABASE": ...}` in the settings, or "default"."""

from importlib.util import find_spec
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from dispatcher.connections.pool import ConnectionPool
from dispatcher.environment import set_unset_variables, set_variables
from dispatcher.producer import emitter_over, use_emitter
from dispatcher.producer_settings import ProducerSettings, read_producer_settings
from dispatcher.storage.outboxes.tables import INSTALL

_OPTIONS = ("service", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs")
"""Those of libpq that say how to get in; others are Django's, or of the service's sessions."""


def alias() -> str:
    """Its name in DATABASES."""
    name: str = getattr(settings, "DISPATCHER", {}).get("DATABASE", DEFAULT_DB_ALIAS)
    return name


def url(using: str) -> str:
    """A database of Django's as a URL of libpq's."""
    of = connections[using].settings_dict
    parts = {"host": of["HOST"], "port": of["PORT"], "user": of["USER"], "password": of["PASSWORD"]}
    parts |= {name: of["OPTIONS"][name] for name in _OPTIONS if name in of["OPTIONS"]}
    query = {name: value for name, value in parts.items() if value}
    return f"postgresql:///{quote(of['NAME'], safe='')}?{urlencode(query, quote_via=quote)}"


_at_start = ""


def use_the_database() -> None:
    """DATABASE_URL of this process and of what it starts, unless it is set."""
    global _at_start
    if connections[alias()].vendor == "postgresql":
        _at_start = url(alias())
        set_unset_variables({"DATABASE_URL": _at_start})


def migrate(using: str) -> None:
    """Brings the dispatcher's tables, or the outbox, to the state that this release expects, if they are in `using`.

    Where that has another name than at the start, it is a test runner's. Without the extra `server` the tables are
    left to the server's own `dispatcher migrate`.
    """
    if using != alias() or connections[using].vendor != "postgresql":
        return
    producer = read_producer_settings()
    if url(using) != _at_start:
        _emit_into_tests(using, producer)
    if not getattr(settings, "DISPATCHER", {}).get("MIGRATE", True):
        return
    if producer.outbox:
        with connections[using].cursor() as cursor:
            cursor.execute(INSTALL)
    elif find_spec("alembic"):
        _upgrade(using, producer.schema)


def _upgrade(using: str, schema: str) -> None:
    from dispatcher.storage import migrate as migrations  # noqa: PLC0415 -- of the extra `server`
    from dispatcher.storage.engine import Storage  # noqa: PLC0415 -- the same
    from dispatcher.storage.secrets import SecretBox  # noqa: PLC0415 -- the same

    storage = Storage(url(using), SecretBox(()), 1, schema)
    try:
        migrations.upgrade(storage)
    finally:
        storage.close()


def _emit_into_tests(using: str, producer: ProducerSettings) -> None:
    """Emits without a connection go there, too, each by its own: the runner must be able to drop the database."""
    set_variables({"DATABASE_URL": url(using)})
    use_emitter(lambda: emitter_over(lambda: ConnectionPool(url(using), 1, producer.schema), producer))
