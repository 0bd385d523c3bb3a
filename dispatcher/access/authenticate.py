"""Who makes a request, and how many more they may make."""

from collections.abc import Sequence
from typing import NamedTuple

from dispatcher.access.rate_limit import EMITS, POLLS, Allowance, Limiter
from dispatcher.storage.admin import poll_tokens, service_tokens, tokens
from dispatcher.storage.admin.poll_tokens import Reader
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.admin.tokens import Caller
from dispatcher.storage.engine import Connection

Principal = Caller | ServiceToken | Reader
"""Who calls: a client in one account, the company's own program in all of them, or who polls one webhook."""


class Admission(NamedTuple):
    """Whose token it is, and what is left of their quota with this request counted; None: they have none."""

    caller: Principal
    allowance: Allowance | None

    @property
    def share_of(self) -> int:
        """Who this is where callers share a resource: an account, or a negative number for a service token."""
        if isinstance(self.caller, Reader):
            return self.caller.account_id
        return -self.caller.id if isinstance(self.caller, ServiceToken) else self.caller.account.id

    @property
    def exceeded(self) -> Allowance | None:
        """The quota, where it is used up."""
        return self.allowance if self.allowance is not None and self.allowance.exceeded else None


def principals(connection: Connection, bearers: Sequence[str]) -> list[Principal | None]:
    """Who calls with each of these tokens, of whichever kind; None where it is unknown, expired or revoked."""
    by_token: dict[str, Principal | None] = {}
    of_services = [token for token in bearers if token.startswith(service_tokens.PREFIX)]
    if of_services:
        by_token |= zip(of_services, service_tokens.live(connection, of_services), strict=True)
    of_readers = [token for token in bearers if token.startswith(poll_tokens.PREFIX)]
    if of_readers:
        by_token |= zip(of_readers, poll_tokens.readers(connection, of_readers), strict=True)
    others = [token for token in bearers if token not in by_token]
    if others:
        by_token |= zip(others, tokens.callers(connection, others), strict=True)
    return [by_token[token] for token in bearers]


def count(limiter: Limiter, caller: Principal, quota: str) -> Admission:
    """Counts a request. A service token has the quotas that it was given; a client always has some."""
    if isinstance(caller, Reader):
        return Admission(caller, limiter.spend(caller.webhook_id, POLLS))
    limit = caller.emits_per_minute if quota == EMITS else caller.requests_per_minute
    if isinstance(caller, ServiceToken):
        return Admission(caller, None if limit is None else limiter.spend(-caller.id, quota, limit))
    return Admission(caller, limiter.spend(caller.client.id, quota, limit))
