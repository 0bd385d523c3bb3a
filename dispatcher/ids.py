"""Identifiers. UUID v7 (RFC 9562): 48 bits of milliseconds, then other bits, so that new ones sort last."""

from uuid import UUID


def delivery_id_of(key: UUID) -> int:
    """The delivery whose Idempotency-Key this is: its last 62 bits (`new_idempotency_key` in Postgres)."""
    return key.int & (1 << 62) - 1
