"""Event types as they are put, listed and deleted."""

from dispatcher.schemas.stored import StoredType
from dispatcher.storage.engine import Connection, rows, scalar
from dispatcher.storage.pipeline.event_types import COLUMNS, stored_type

_WRITABLE = ("resource", "resource_id", "schema", "example", "description", "group", "supersedes", "deprecated_at",
            "downgrade", "subjects", "payload_retention_days")  # fmt: skip

_ALL = f"select {COLUMNS} from dispatcher.event_types t order by t.name, t.version"

_VERSIONS = f"select {COLUMNS} from dispatcher.event_types t where t.name = %(name)s order by t.version"

# Who changes types locks this row first, so one at a time does.
_LOCK = "select from dispatcher.event_types_revision where id = 1 for update"

_BUMP = "update dispatcher.event_types_revision set revision = revision + 1 where id = 1"

_SET = ", ".join(f'"{name}" = excluded."{name}"' for name in _WRITABLE)
_STORE = f"""
insert into dispatcher.event_types as t (name, version, {", ".join(f'"{name}"' for name in _WRITABLE)})
values (%(name)s, %(version)s, {", ".join(f"%({name})s" for name in _WRITABLE)})
on conflict (name, version) do update set {_SET}, updated_at = now(), deleted_at = null
"""

_DELETE = "update dispatcher.event_types set deleted_at = now() where name = %(name)s"

_REVIVE = "update dispatcher.event_types set deleted_at = null where name = %(name)s"

_SUBSCRIBED = """
select count(*) from dispatcher.webhooks where deleted_at is null and %(name)s = any (events)
"""


def lock(connection: Connection) -> None:
    """Lets nobody else change types until the end of the transaction."""
    rows(connection, _LOCK)


def list_all(connection: Connection) -> list[StoredType]:
    """Every version of every type, also of those that were deleted."""
    return [stored_type(row) for row in rows(connection, _ALL)]


def versions(connection: Connection, name: str) -> list[StoredType]:
    """Those of one, the oldest first; empty where there never was one."""
    return [stored_type(row) for row in rows(connection, _VERSIONS, name=name)]


def store(connection: Connection, one: StoredType) -> None:
    """Stores one version, which all processes notice; a type that was deleted is there again, in all versions."""
    values = {name: getattr(one, name) for name in ("name", "version", *_WRITABLE)}
    rows(connection, _STORE, **values | {"subjects": list(one.subjects)})
    rows(connection, _REVIVE, name=one.name)
    rows(connection, _BUMP)


def delete(connection: Connection, name: str) -> None:
    """From now on it can neither be emitted nor subscribed to."""
    rows(connection, _DELETE, name=name)
    rows(connection, _BUMP)


def subscribed(connection: Connection, name: str) -> int:
    """How many webhooks name it among their events."""
    count: int = scalar(connection, _SUBSCRIBED, name=name)
    return count
