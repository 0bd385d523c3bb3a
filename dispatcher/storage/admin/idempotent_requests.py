"""Requests of the company's programs that carry an Idempotency-Key: which were done, and how they were answered.

Responses are encrypted, as they may hold a new secret. They are kept for a day.
"""

from dataclasses import dataclass

from dispatcher.storage.engine import Connection, rows, scalar
from dispatcher.storage.secrets import SecretBox

# Held until the transaction ends: a process that dies frees it.
_TRY_LOCK = "select pg_try_advisory_xact_lock(hashtextextended(%(token_id)s || ' ' || %(key)s, 0))"

_FIND = """
select fingerprint, response_encrypted from dispatcher.idempotent_requests
where service_token_id = %(token_id)s and key = %(key)s and created_at >= dispatcher.now() - interval '1 day'
"""

# In the place of one that is older than a day.
_STORE = """
insert into dispatcher.idempotent_requests (service_token_id, key, fingerprint, response_encrypted, event_id)
values (%(token_id)s, %(key)s, %(fingerprint)s, %(response)s, %(event_id)s)
on conflict (service_token_id, key) do update set fingerprint = excluded.fingerprint,
    response_encrypted = excluded.response_encrypted, event_id = excluded.event_id, created_at = excluded.created_at
"""

# Index: idempotent_requests_by_age.
_PRUNE = (
    "delete from dispatcher.idempotent_requests where created_at < dispatcher.now() - interval '1 day' returning key"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierRequest:
    """A request that had the key."""

    fingerprint: bytes
    response: str


def try_lock(connection: Connection, token_id: int, key: str) -> bool:
    """Whether the key is the caller's until its transaction ends; False: another has it."""
    return bool(scalar(connection, _TRY_LOCK, token_id=str(token_id), key=key))


def find(connection: Connection, secrets: SecretBox, token_id: int, key: str) -> EarlierRequest | None:
    """The request of the last day that had the key."""
    for fingerprint, response in rows(connection, _FIND, token_id=token_id, key=key):
        return EarlierRequest(fingerprint=bytes(fingerprint), response=secrets.open(response))
    return None


def store(
    connection: Connection,
    secrets: SecretBox,
    token_id: int,
    key: str,
    fingerprint: bytes,
    response: str,
    event_id: int | None,
) -> None:
    """Keeps the response for who repeats the request. `event_id`: of the event whose payload may be in it."""
    values = {"fingerprint": fingerprint, "response": secrets.close(response), "event_id": event_id}
    rows(connection, _STORE, token_id=token_id, key=key, **values)


def prune(connection: Connection) -> int:
    """Deletes what is older than a day; returns how many that were."""
    return len(rows(connection, _PRUNE))
