"""The Postgres schema that holds the dispatcher's tables: `dispatcher`, or what DISPATCHER_SCHEMA names.

SQL is written with the usual name (`dispatcher.events`), so that it means the same on any connection, whatever its
search_path, and can be pasted into psql. Where the tables are in another schema, each statement gets that name on its
way out. Parameters are left alone.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from dispatcher.connections.adapter import Adapter, Parameters, Row

USUAL = "dispatcher"

# The schema's name; and that of the channel, which notifies the workers of this schema only.
_NAME = re.compile(r"(?<![\w@.])dispatcher(?=\.|_events\b)")


@lru_cache(maxsize=4_096)
def in_schema(sql: str, schema: str) -> str:
    """The statement for tables in `schema`, a plain name that needs no quotes."""
    return _NAME.sub(schema, sql)


def adapter_in_schema(adapter: Adapter, schema: str) -> Adapter:
    """One that runs the dispatcher's statements on tables in `schema`."""
    return adapter if schema == USUAL else InSchema(adapter, schema)


class InSchema:
    """An Adapter around another."""

    def __init__(self, adapter: Adapter, schema: str) -> None:
        self._adapter = adapter
        self._schema = schema
        self.commits_each = adapter.commits_each
        self.copies = adapter.copies

    async def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        return await self._adapter.rows(in_schema(sql, self._schema), parameters)

    async def copy(self, table: str, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
        await self._adapter.copy(in_schema(table, self._schema), columns, lines)
