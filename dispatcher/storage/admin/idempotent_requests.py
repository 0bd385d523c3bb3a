"""Requests of the company's programs that carry an Idempotency-Key: which were made, and how they were answered.

Responses are encrypted, as they may hold a new secret. They are kept for a day.
"""

from dataclasses import dataclass

from dispatcher.storage.engine import Connection, first, rows
from dispatcher.storage.secrets import SecretBox

# One that nobody has answered within a minute was interrupted: it may be made again, as may one of yesterday.
_BEGIN = """
insert into dispatcher.idempotent_requests as r (service_token_id, key, fingerprint)
values (%(token_id)s, %(key)s, %(fingerprint)s)
on conflict (service_token_id, key) do update
    set fingerprint = excluded.fingerprint, response_encrypted = null, created_at = excluded.created_at
    where r.created_at < dispatcher.now() - interval '1 day' or (r.response_encrypted is null
        and r.created_at < dispatcher.now() - interval '1 minute' and r.fingerprint = excluded.fingerprint)
returning key
"""

_OF = "service_token_id = %(token_id)s and key = %(key)s"
_FIND = f"select fingerprint, response_encrypted from dispatcher.idempotent_requests where {_OF}"
_STORE = f"update dispatcher.idempotent_requests set response_encrypted = %(response)s where {_OF}"
_FORGET = f"delete from dispatcher.idempotent_requests where {_OF}"

# Index: idempotent_requests_by_age.
_PRUNE = (
    "delete from dispatcher.idempotent_requests where created_at < dispatcher.now() - interval '1 day' returning key"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierRequest:
    """A request that had the key. `response` None: it is under way."""

    fingerprint: bytes
    response: str | None


def begin(
    connection: Connection, secrets: SecretBox, token_id: int, key: str, fingerprint: bytes
) -> EarlierRequest | None:
    """The request that had the key before; None: this is the first, and the key is its own now."""
    if rows(connection, _BEGIN, token_id=token_id, key=key, fingerprint=fingerprint):
        return None
    earlier = first(connection, EarlierRequest, _FIND, token_id=token_id, key=key)
    if earlier is None:  # it has failed a moment ago
        return EarlierRequest(fingerprint=fingerprint, response=None)
    response = secrets.open(earlier.response) if earlier.response else None
    return EarlierRequest(fingerprint=bytes(earlier.fingerprint), response=response)


def store(connection: Connection, secrets: SecretBox, token_id: int, key: str, response: str) -> None:
    """Keeps the response for who repeats the request."""
    rows(connection, _STORE, token_id=token_id, key=key, response=secrets.close(response))


def forget(connection: Connection, token_id: int, key: str) -> None:
    """The request failed and has changed nothing: the key is free."""
    rows(connection, _FORGET, token_id=token_id, key=key)


def prune(connection: Connection) -> int:
    """Deletes what is older than a day; returns how many that were."""
    return len(rows(connection, _PRUNE))
