"""Payloads go once they were kept for as long as their event types say; events and deliveries stay (`erasures`).

What is pending then is cancelled: the limit is one that holds. It is days, and retries end within hours by default.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from dispatcher import clock
from dispatcher.schemas import active
from dispatcher.storage.admin import payload_retentions, payloads
from dispatcher.storage.engine import Connection, Storage

SCAN = 2_000
"""Events that a batch reads."""


def erase_expired(storage: Storage, limit_s: float) -> int:
    """Goes on for `limit_s` seconds at most, and a batch; returns how many payloads were erased."""
    until_s, count = clock.monotonic() + limit_s, 0
    days = _days()
    groups: dict[tuple[int, int], list[str]] = defaultdict(list)  # those that are equally far are walked together
    for name, after in (storage.read(payload_retentions.reached, sorted(days)) if days else {}).items():
        groups[days[name], after].append(name)
    for (of_days, after), names in groups.items():
        reached: int | None = after
        while reached is not None and clock.monotonic() < until_s:
            erased, reached = storage.transact(_batch, names, of_days, reached)
            count += erased
    return count


def _days() -> Mapping[str, int]:
    """Event → for how many days its payloads are kept, of those that say so."""
    events = active().events.values()
    return {one.name: one.payload_retention_days for one in events if one.payload_retention_days is not None}


def _batch(connection: Connection, names: Sequence[str], days: int, after: int) -> tuple[int, int | None]:
    """How many payloads were erased, and up to which id; None: that was all."""
    walk = payload_retentions.walk(connection, names, days, after, SCAN)
    if walk.last_id is None:
        return 0, None
    erased = payloads.erase(connection, walk.ids, payloads.RETENTION)["events"]
    payload_retentions.advance(connection, names, walk.last_id, erased)
    return erased, walk.last_id if walk.scanned == SCAN else None
