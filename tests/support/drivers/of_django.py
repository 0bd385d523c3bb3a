"""Django: `django.db.connection`, in and outside `atomic`. On psycopg 3, or on psycopg2 where that is not there."""

from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.db import connection, connections, transaction

from tests.support.drivers.base import Driver

_DATABASE = {"ENGINE": "django.db.backends.postgresql", "NAME": "none"}

if not settings.configured:
    settings.configure(DATABASES={"default": _DATABASE, "shop": dict(_DATABASE)}, USE_TZ=False, TIME_ZONE="Asia/Tokyo")
    django.setup()


class Django(Driver):
    """`django.db.connection`. Outside `atomic` Django commits each statement, whatever is asked for."""

    using = "default"

    def __init__(self, url: str, *, autocommit: bool) -> None:
        super().__init__(url, autocommit=autocommit)
        parts = urlsplit(url)
        connections[self.using].settings_dict.update(
            NAME=parts.path.strip("/"),
            USER=parts.username,
            PASSWORD=parts.password or "",
            HOST=parts.hostname,
            PORT=parts.port,
        )

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
