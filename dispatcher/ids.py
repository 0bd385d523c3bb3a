"""Identifiers. UUID v7 (RFC 9562): 48 bits of milliseconds, then random bits, so that new ones sort last in an index."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A new UUID v7. `uuidv7()` of Postgres exists from 18 on only, Python's from 3.14 on, so it is made here."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return UUID(int=value)


def delivery_id_of(key: UUID) -> int:
    """The delivery whose Idempotency-Key this is, if any: the key's last 62 bits (`new_idempotency_key` in Postgres)."""
    return key.int & (1 << 62) - 1
