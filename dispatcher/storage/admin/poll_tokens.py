"""Poll tokens: each fetches the deliveries of one polled webhook. Only hashes are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.errors import WebhookNotFound
from dispatcher.storage.admin.tenants import EXTERNAL_ID
from dispatcher.storage.engine import Connection, one, record, rows
from dispatcher.storage.secrets import hash_of, new_secret

PREFIX = "whp_"
"""How every poll token begins: scanners of repositories and logs find `whp_[0-9a-f]{64}`."""
_LENGTH = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Who fetches with a poll token."""

    webhook_id: int
    account_id: int


# Index: the unique ones of the two hashes.
_READERS = """
select p.token_hash, case when p.previous_token_until > dispatcher.now() then p.previous_token_hash end, w.id,
    w.account_id
from dispatcher.polls p join dispatcher.webhooks w on w.id = p.webhook_id and w.deleted_at is null
where p.token_hash = any (%(hashes)s::bytea[])
    or p.previous_token_hash = any (%(hashes)s::bytea[]) and p.previous_token_until > dispatcher.now()
"""

_POLLED = f"""
select w.webhook_url, w.active from dispatcher.webhooks w join dispatcher.accounts a on a.id = w.account_id
where w.id = %(webhook_id)s and {EXTERNAL_ID} = %(external_id)s and w.deleted_at is null
"""

_ROTATE = """
insert into dispatcher.polls as p (webhook_id, token_hash) values (%(webhook_id)s, %(hash)s)
on conflict (webhook_id) do update set token_hash = excluded.token_hash, previous_token_hash = p.token_hash,
    previous_token_until = dispatcher.now() + %(valid_for)s::interval
returning case when previous_token_hash is not null and previous_token_until > dispatcher.now()
    then previous_token_until end
"""


def webhook(connection: Connection, external_id: str, webhook_id: int) -> tuple[str, bool]:
    """The URL of a webhook of the account, and whether it is active; raises WebhookNotFound."""
    missing = WebhookNotFound(webhook_id)
    url, active = one(connection, missing, _POLLED, webhook_id=webhook_id, external_id=external_id)
    return url, active


def rotate(connection: Connection, webhook_id: int, valid_for: timedelta) -> tuple[str, datetime | None]:
    """A new token, seen only now, and until when the one before goes on; None: there is none."""
    token = PREFIX + new_secret(_LENGTH)
    until: datetime | None
    ((until,),) = rows(connection, _ROTATE, webhook_id=webhook_id, hash=hash_of(token), valid_for=valid_for)
    return token, until


def readers(connection: Connection, tokens: Sequence[str]) -> list[Reader | None]:
    """Whose each of these texts is; None where it is unknown or expired."""
    hashes = [hash_of(token) for token in tokens]
    by_hash: dict[bytes, Reader] = {}
    for current, previous, *reader in rows(connection, _READERS, hashes=hashes):
        for hash_ in (current, previous):
            if hash_ is not None and bytes(hash_) in hashes:
                by_hash[bytes(hash_)] = record(Reader, reader)
    return [by_hash.get(hash_) for hash_ in hashes]
