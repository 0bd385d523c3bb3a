"""How many client certificates of webhooks expire soon."""

from datetime import timedelta

from dispatcher.storage.engine import Connection, scalar

SOON = timedelta(days=30)

# Index: webhooks_by_certificate. Reads those that expire, and not the others.
_EXPIRING = """
select count(*)::int from dispatcher.webhooks
where certificate_expires_at < dispatcher.now() + %(soon)s::interval and deleted_at is null and active
"""


def expiring(connection: Connection) -> int:
    """Of active webhooks, those that expire within SOON, or have."""
    count: int = scalar(connection, _EXPIRING, soon=SOON)
    return count
