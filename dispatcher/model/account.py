"""Whose events and webhooks these are."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """`time_zone` (IANA name) is the one its datetimes are written in."""

    id: int
    slug: str
    time_zone: str
