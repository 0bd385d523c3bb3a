"""Accounts: whose events and webhooks these are."""

from dataclasses import dataclass

from dispatcher.errors import AccountExists, AccountUnknown
from dispatcher.storage.engine import Joinable, rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """`time_zone` (IANA name) is the one its datetimes are written in."""

    id: int
    slug: str
    time_zone: str


def create(connection: Joinable, slug: str, time_zone: str) -> Account:
    """A new account; raises AccountExists."""
    made = rows(
        connection,
        "insert into accounts (slug, time_zone) values (%(slug)s, %(time_zone)s)"
        " on conflict (slug) do nothing returning id",
        {"slug": slug, "time_zone": time_zone},
    )
    if not made:
        raise AccountExists(slug)
    return Account(id=made[0][0], slug=slug, time_zone=time_zone)


def find(connection: Joinable, slug: str) -> Account:
    """The account of that slug; raises AccountUnknown."""
    found = rows(connection, "select id, time_zone from accounts where slug = %(slug)s", {"slug": slug})
    if not found:
        raise AccountUnknown(slug)
    return Account(id=found[0][0], slug=slug, time_zone=found[0][1])


def all_of_them(connection: Joinable) -> list[Account]:
    """Every account, by slug."""
    found = rows(connection, "select id, slug, time_zone from accounts order by slug")
    return [Account(id=row[0], slug=row[1], time_zone=row[2]) for row in found]
