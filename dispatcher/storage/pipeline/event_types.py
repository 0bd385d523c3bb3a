"""Event types as a process reads them to emit, fan out and send: on any connection, by one statement."""

from dispatcher.connections.adapter import Adapter, completed
from dispatcher.connections.recognise import adapter_for
from dispatcher.schemas.stored import StoredType

COLUMNS = """t.name, t.version, t.resource, t.resource_id, t.schema::text, t.example::text, t.description, t."group",
    t.supersedes, t.deprecated_at, t.downgrade::text, t.subjects, t.payload_retention_days, t.created_at,
    t.updated_at, t.deleted_at"""
"""In the order of StoredType."""

# Reads one row, and no more where nothing has changed. A single statement sees both tables at one moment.
_NEWER = f"""
select r.revision, {COLUMNS} from dispatcher.event_types_revision r left join dispatcher.event_types t on true
where r.id = 1 and r.revision <> %(revision)s::bigint
"""

Newer = tuple[int, list[StoredType]]
"""The revision, and all types."""


async def newer_by(adapter: Adapter, revision: int) -> Newer | None:
    """All types, where another revision is current than the one known."""
    rows = await adapter.rows(_NEWER, {"revision": revision})
    if not rows:
        return None
    return rows[0][0], [stored_type(row[1:]) for row in rows if row[1] is not None]


def newer(connection: object, revision: int) -> Newer | None:
    """The same on a synchronous connection."""
    return completed(newer_by(adapter_for(connection), revision))


def stored_type(row: tuple[object, ...]) -> StoredType:
    """A row of COLUMNS."""
    values = (tuple(value) if isinstance(value, list) else value for value in row)
    return StoredType(**dict(zip(StoredType.__dataclass_fields__, values, strict=True)))  # type: ignore[arg-type]
