"""Who makes a request, and how many more they may make."""

from collections.abc import Sequence
from typing import NamedTuple

from dispatcher.access.rate_limit import EMITS, Allowance, Limiter
from dispatcher.storage.admin import service_tokens, tokens
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.admin.tokens import Caller
from dispatcher.storage.engine import Connection, Storage

Principal = Caller | ServiceToken
"""Who calls: a client in one account, or the company's own program in all of them."""


class Admission(NamedTuple):
    """Whose token it is, and what is left of their quota with this request counted."""

    caller: Principal
    allowance: Allowance

    @property
    def share_of(self) -> int:
        """Who this is where callers share a resource: an account, or a negative number for a service token."""
        return -self.caller.id if isinstance(self.caller, ServiceToken) else self.caller.account.id


def admit(storage: Storage, limiter: Limiter, token: str, quota: str) -> Admission | None:
    """None where the access token is unknown, expired or revoked."""
    (caller,) = storage.read(principals, [token])
    return count(limiter, caller, quota)


def principals(connection: Connection, given: Sequence[str]) -> list[Principal | None]:
    """Who calls with each of these tokens, of either kind; None where it is unknown, expired or revoked."""
    found: dict[str, Principal | None] = {}
    of_services = [token for token in given if token.startswith(service_tokens.PREFIX)]
    if of_services:
        found |= zip(of_services, service_tokens.live(connection, of_services), strict=True)
    others = [token for token in given if token not in found]
    if others:
        found |= zip(others, tokens.callers(connection, others), strict=True)
    return [found[token] for token in given]


def count(limiter: Limiter, caller: Principal | None, quota: str) -> Admission | None:
    """The same, once it is known who calls. The company's own programs have no quota."""
    if caller is None:
        return None
    if isinstance(caller, ServiceToken):
        return Admission(caller, limiter.unused[quota])
    limit = caller.emits_per_minute if quota == EMITS else caller.requests_per_minute
    return Admission(caller, limiter.spend(caller.client.id, quota, limit))
