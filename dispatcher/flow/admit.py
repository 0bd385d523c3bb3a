"""Who makes a request, and how many more they may make."""

from collections.abc import Sequence
from typing import NamedTuple

from dispatcher.flow.limit_requests import Allowance, Limiter
from dispatcher.storage import tokens
from dispatcher.storage.engine import Storage
from dispatcher.storage.tokens import Caller


class Admitted(NamedTuple):
    """Whose token it is, and what is left of their quota with this request counted."""

    caller: Caller
    allowance: Allowance


def admit(storage: Storage, limiter: Limiter, asked: Sequence[str]) -> list[Admitted | None]:
    """For the access token of each request; None where it is unknown, expired or revoked.

    1. Look the callers up, all by one query; there is no cache, so that a revoked token is refused at once.
    2. Count the requests of those that are known.
    """
    callers = storage.look(lambda connection: tokens.callers(connection, asked))
    allowances = iter(limiter.spend([caller.client.id for caller in callers if caller is not None]))
    return [None if caller is None else Admitted(caller, next(allowances)) for caller in callers]
