"""Statements that Postgres plans once for each connection: planning the larger ones costs more than the rest.

A pooler that shares connections by transaction knows nothing of what was prepared: at its first error this process goes
on without (`forget`).
"""

from typing import Any

from psycopg2.extensions import connection, cursor

from dispatcher.connections.adapter import Planned, numbered
from dispatcher.connections.schema import in_schema

UNKNOWN = {"26000", "42P05"}
"""What Postgres says where a statement was prepared on another connection, or the name is taken."""


class PlanningConnection(connection):
    """A connection that remembers what it has prepared."""

    is_allowed = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._executions: dict[Planned, str] = {}

    def execution(self, sql: Planned) -> str:
        """What to execute in the place of `sql`, with the same parameters."""
        if not self.is_allowed:
            return sql
        execution = self._executions.get(sql)
        if execution is None:
            name, (text, parameters) = f"dispatcher_{len(self._executions)}", numbered(sql)
            with self.cursor(cursor_factory=cursor) as plain:
                plain.execute(f"prepare {name} as {text}")
            execution = f"execute {name} ({', '.join(f'%({parameter})s' for parameter in parameters)})"
            self._executions[sql] = execution
        return execution


class SchemaConnection(PlanningConnection):
    """One whose statements are about tables in another schema than the usual one."""

    def __init__(self, dsn: str, schema: str) -> None:
        super().__init__(dsn)
        self.schema = schema

    def cursor(self, *args: Any, **options: Any) -> Any:
        """Whoever asks for one gets one that names the schema."""
        return super().cursor(*args, **{**options, "cursor_factory": _SchemaCursor})


class _SchemaCursor(cursor):
    connection: SchemaConnection

    def execute(self, query: Any, *parameters: Any) -> None:
        super().execute(in_schema(query, self.connection.schema), *parameters)

    def copy_expert(self, sql: Any, *options: Any) -> None:
        super().copy_expert(in_schema(sql, self.connection.schema), *options)


def forget() -> None:
    """From now on every statement is planned each time."""
    PlanningConnection.is_allowed = False
