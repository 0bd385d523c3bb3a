"""What a service emits into the outbox of its own database, on any connection of its own."""

from collections.abc import Sequence
from datetime import UTC

from dispatcher.connections.adapter import Adapter, array
from dispatcher.model.event import Event, EventDraft
from dispatcher.schemas.catalogue import qualified_name
from dispatcher.storage.pipeline.emits import arrays_of

_INSERT = """
insert into dispatcher_outbox.events (account, name, body, idempotency_key, created_at, traceparent)
select %(account)s, d.name, d.body::json, d.key, coalesce(d.created_at, now()), %(traceparent)s
from unnest(%(names)s::text[], string_to_array(%(bodies)s, E'\\n'), %(keys)s::text[], %(created)s::timestamptz[])
    with ordinality as d (name, body, key, created_at, ordinal)
order by d.ordinal
returning id, created_at at time zone 'utc'
"""


async def insert_by(
    adapter: Adapter, account: str, drafts: Sequence[EventDraft], traceparent: str | None
) -> list[Event]:
    """Stores `drafts` in order, by one statement; an event's `id` is its number in this outbox.

    A version that is not the first stands in the name there.
    """
    if not drafts:
        return []
    names = array(qualified_name(draft.name, draft.version) for draft in drafts)
    parameters = arrays_of(drafts) | {"account": account, "names": names, "traceparent": traceparent}
    stored = sorted(await adapter.rows(_INSERT, parameters))
    return [
        Event(id=id_, name=draft.name, created_at=created_at.replace(tzinfo=UTC))
        for draft, (id_, created_at) in zip(drafts, stored, strict=True)
    ]
