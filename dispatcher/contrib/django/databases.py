"""The dispatcher's database is one of Django's: `DISPATCHER = {"DATABASE": ...}` in the settings, or "default"."""

from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from dispatcher.environment import set_unset_variables
from dispatcher.settings import read_settings
from dispatcher.storage import migrate as migrations
from dispatcher.storage.engine import Storage
from dispatcher.storage.secrets import SecretBox


def alias() -> str:
    """Its name in DATABASES."""
    name: str = getattr(settings, "DISPATCHER", {}).get("DATABASE", DEFAULT_DB_ALIAS)
    return name


def url(using: str) -> str:
    """A database of Django's as a URL of libpq's."""
    of = connections[using].settings_dict
    parts = {"host": of["HOST"], "port": of["PORT"], "user": of["USER"], "password": of["PASSWORD"]}
    parts |= {name: of["OPTIONS"][name] for name in ("sslmode", "sslrootcert", "service") if name in of["OPTIONS"]}
    given = {name: value for name, value in parts.items() if value}
    return f"postgresql:///{quote(of['NAME'], safe='')}?{urlencode(given, quote_via=quote)}"


def use_the_database() -> None:
    """DATABASE_URL of this process and of what it starts, unless it is set."""
    if connections[alias()].vendor == "postgresql":
        set_unset_variables({"DATABASE_URL": url(alias())})


def migrate(using: str) -> None:
    """Brings the dispatcher's tables to the state that this release expects, if they are in the database `using`."""
    if using != alias() or connections[using].vendor != "postgresql":
        return
    own = read_settings()
    storage = Storage(url(using), SecretBox(own.secret_keys), 1, own.schema)
    try:
        migrations.upgrade(storage)
    finally:
        storage.close()
