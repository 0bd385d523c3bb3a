"""Flask-SQLAlchemy: `db.session`, in an application's context."""

from contextlib import AbstractContextManager
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from tests.support.drivers.base import Driver, sqlalchemy_url


class FlaskSqlAlchemy(Driver):
    """As in a view."""

    def __init__(self, url: str, *, autocommit: bool) -> None:
        super().__init__(url, autocommit=autocommit)
        app = Flask("shop")
        app.config["SQLALCHEMY_DATABASE_URI"] = sqlalchemy_url(url, "psycopg2")
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
        self.db = SQLAlchemy(app)
        self._context = app.app_context()
        self._context.push()

    @property
    def connection(self) -> Any:
        return self.db.session

    def block(self) -> AbstractContextManager[Any]:
        return self.db.session.begin_nested() if self.depth else self.db.session.begin()

    def execute(self, sql: str) -> None:
        self.db.session.execute(text(sql))

    def close(self) -> None:
        self.db.session.remove()
        self.db.engine.dispose()
        self._context.pop()
