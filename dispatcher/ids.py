"""Identifiers. UUIDs of v7 (RFC 9562): 48 bits of milliseconds, then other bits, so that new ones sort last."""

import os
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 74
COUNTER_BITS = 23
"""Of an event's id, below the second in which it was recorded."""


def delivery_id_of(key: UUID) -> int:
    """The delivery whose Idempotency-Key this is: its last 62 bits (`new_idempotency_key` in Postgres)."""
    return key.int & (1 << 62) - 1


def new_uuid7(now: datetime) -> UUID:
    """A key for what is no delivery (a ping): `now`, then random bits."""
    milliseconds = int(now.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10)) & (1 << _RANDOM_BITS) - 1
    return UUID(int=milliseconds << 80 | 7 << 76 | random >> 62 << 64 | 0b10 << 62 | random & (1 << 62) - 1)


def new_lease_token(owner: int) -> UUID:
    """A UUID v8: random bits, and in its last 62 the number of the process that leases (`owners.end_leases`)."""
    random = int.from_bytes(os.urandom(8)) & (1 << 60) - 1
    return UUID(int=random >> 12 << 80 | 8 << 76 | (random & 0xFFF) << 64 | 0b10 << 62 | owner & (1 << 62) - 1)


def recorded_after(event_id: int) -> datetime:
    """A time before which the event was not recorded: its id's second is rounded, so up to half a second late."""
    return _EPOCH + timedelta(seconds=max(0, (event_id >> COUNTER_BITS) - 1))


def first_event_id(at: datetime) -> int:
    """The smallest id of an event recorded in that second: seconds since 2020, then the bits of a counter."""
    return max(0, int((at - _EPOCH).total_seconds())) << COUNTER_BITS
