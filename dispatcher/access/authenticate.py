"""Who makes a request, and how many more they may make."""

from collections.abc import Sequence
from typing import NamedTuple

from dispatcher.access.rate_limit import Allowance, CountedRequest, Limiter
from dispatcher.storage.admin import tokens
from dispatcher.storage.admin.tokens import Caller
from dispatcher.storage.engine import Storage


class AccessRequest(NamedTuple):
    """The access token that a request brings, and the quota that it is counted in."""

    token: str
    quota: str


class Admission(NamedTuple):
    """Whose token it is, and what is left of their quota with this request counted."""

    caller: Caller
    allowance: Allowance


def admit(storage: Storage, limiter: Limiter, requests: Sequence[AccessRequest]) -> list[Admission | None]:
    """Of each request; None where its token is unknown, expired or revoked.

    1. Look the callers up, all by one query; there is no cache, so that a revoked token is refused at once.
    2. Count the requests of those that are known.
    """
    callers = storage.read(tokens.callers, [one.token for one in requests])
    allowances = iter(
        limiter.spend(
            [
                CountedRequest(caller.client.id, one.quota)
                for caller, one in zip(callers, requests, strict=True)
                if caller is not None
            ]
        )
    )
    return [None if caller is None else Admission(caller, next(allowances)) for caller in callers]
