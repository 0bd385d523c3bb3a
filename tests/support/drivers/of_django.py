"""Django: `django.db.connection`, in and outside `atomic`. On psycopg 3, or on psycopg2 where that is not there."""

from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

from django.db import connection, connections, transaction

from tests.support import django_shop
from tests.support.drivers.base import Driver

django_shop.set_up()


def connect(using: str, url: str) -> None:
    """Django's database `using` is that of `url` from now on."""
    parts = urlsplit(url)
    connections[using].close()
    connections[using].settings_dict.update(
        NAME=parts.path.strip("/"),
        USER=parts.username,
        PASSWORD=parts.password or "",
        HOST=parts.hostname,
        PORT=parts.port,
    )


class Django(Driver):
    """`django.db.connection`. Outside `atomic` Django commits each statement, whatever is asked for."""

    using = "default"

    def __init__(self, url: str, *, autocommit: bool) -> None:
        super().__init__(url, autocommit=autocommit)
        connect(self.using, url)

    @property
    def connection(self) -> Any:
        return connection

    def block(self) -> AbstractContextManager[Any]:
        block: AbstractContextManager[Any] = transaction.atomic(using=self.using)
        return block

    def execute(self, sql: str) -> None:
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql)

    def close(self) -> None:
        connections[self.using].close()


class DjangoUsing(Django):
    """Another of its databases."""

    using = "shop"

    @property
    def connection(self) -> Any:
        return connections[self.using]
