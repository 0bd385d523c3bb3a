"""A migration's two ways, each a text of SQL statements."""

from collections.abc import Callable

from alembic import op


def runs(sql: str) -> Callable[[], None]:
    """What Alembic calls to run the statements, which have no parameters."""
    return lambda: op.get_bind().exec_driver_sql(sql.replace("%", "%%")).close()
