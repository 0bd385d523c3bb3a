"""Django's connections: `django.db.connection`, `connections["..."]`. Over psycopg2 or psycopg 3."""

from typing import Any

from dispatcher.connections.adapter import InsertsOnly, Parameters, Row


class Django(InsertsOnly):
    """Its statements go through Django, which refuses them where its transaction is broken, and logs them."""

    def __init__(self, connection: Any) -> None:
        if connection.vendor != "postgresql":
            raise TypeError(
                f"connection {connection.alias!r} is Django's to {connection.display_name}; an emit needs PostgreSQL"
            )
        self._connection = connection

    async def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    async def commits_each(self) -> bool:
        return not self._connection.in_atomic_block and self._connection.get_autocommit()
