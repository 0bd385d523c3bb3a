"""Every connection that an emit takes, each used as its own documentation has it, behind one face.

    driver.begin()                a transaction; within one, a savepoint
    driver.end(commit=True)       ends the innermost: commits or releases it, or rolls it back
    driver.execute("...")         a statement of the service's own
    driver.emit(count)            `emit` or `aemit` of an event whose body says `count`
    driver.autocommit             whether statements outside a transaction commit themselves

A library is imported by the drivers that use it, so that a process may be without it.
"""

from importlib import import_module

from tests.support.drivers.base import Driver

NAMES = (
    "of_psycopg2.Psycopg2",
    "of_psycopg2.DictsOfPsycopg2",
    "of_psycopg.Psycopg",
    "of_psycopg.DictsOfPsycopg",
    "of_psycopg.AsyncPsycopg",
    "of_asyncpg.Asyncpg",
    "of_asyncpg.AsyncpgPool",
    "of_sqlalchemy.OverPsycopg2",
    "of_sqlalchemy.OverPsycopg",
    "of_sqlalchemy.SessionOverPsycopg2",
    "of_sqlalchemy.SessionOverPsycopg",
    "of_sqlalchemy.ScopedSession",
    "of_async_sqlalchemy.OverAsyncpg",
    "of_async_sqlalchemy.OverPsycopg",
    "of_async_sqlalchemy.SessionOverAsyncpg",
    "of_async_sqlalchemy.SessionOverPsycopg",
    "of_async_sqlalchemy.ScopedSession",
    "of_async_sqlalchemy.SyncSession",
    "of_flask.FlaskSqlAlchemy",
    "of_django.Django",
    "of_django.DjangoUsing",
)


def a_driver(name: str, url: str, *, autocommit: bool = False) -> Driver:
    """One of NAMES, connected."""
    module, _, kind = name.partition(".")
    driver: Driver = getattr(import_module(f"tests.support.drivers.{module}"), kind)(url, autocommit=autocommit)
    return driver
