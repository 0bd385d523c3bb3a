"""Time for what runs in this process. What is due is decided by Postgres' clock, never here."""

import time
from datetime import UTC, datetime

monotonic = time.monotonic
"""Seconds that only grow: for deadlines and spans."""


def now() -> datetime:
    """The wall clock, aware, UTC: for what is written down for people, never for a comparison between hosts."""
    return datetime.now(UTC)
