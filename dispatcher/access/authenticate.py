"""Who makes a request, and how many more they may make."""

from typing import NamedTuple

from dispatcher.access.rate_limit import Allowance, Limiter
from dispatcher.storage.admin import tokens
from dispatcher.storage.admin.tokens import Caller
from dispatcher.storage.engine import Storage


class Admission(NamedTuple):
    """Whose token it is, and what is left of their quota with this request counted."""

    caller: Caller
    allowance: Allowance


def admit(storage: Storage, limiter: Limiter, token: str, quota: str) -> Admission | None:
    """None where the access token is unknown, expired or revoked."""
    (caller,) = storage.read(tokens.callers, [token])
    return count(limiter, caller, quota)


def count(limiter: Limiter, caller: Caller | None, quota: str) -> Admission | None:
    """The same, once it is known who calls."""
    return None if caller is None else Admission(caller, limiter.spend(caller.client.id, quota))
