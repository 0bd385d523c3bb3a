"""Who makes a request, and how many more they may make."""

from collections.abc import Sequence
from typing import NamedTuple

from dispatcher.access.rate_limit import Allowance, Limiter, Spent
from dispatcher.storage.admin import tokens
from dispatcher.storage.admin.tokens import Caller
from dispatcher.storage.engine import Storage


class Asked(NamedTuple):
    """The access token that a request brings, and the quota that it is counted in."""

    token: str
    quota: str


class Admitted(NamedTuple):
    """Whose token it is, and what is left of their quota with this request counted."""

    caller: Caller
    allowance: Allowance


def admit(storage: Storage, limiter: Limiter, asked: Sequence[Asked]) -> list[Admitted | None]:
    """Of each request; None where its token is unknown, expired or revoked.

    1. Look the callers up, all by one query; there is no cache, so that a revoked token is refused at once.
    2. Count the requests of those that are known.
    """
    callers = storage.read(tokens.callers, [one.token for one in asked])
    allowances = iter(
        limiter.spend(
            [
                Spent(caller.client.id, one.quota)
                for caller, one in zip(callers, asked, strict=True)
                if caller is not None
            ]
        )
    )
    return [None if caller is None else Admitted(caller, next(allowances)) for caller in callers]
