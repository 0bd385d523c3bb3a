"""One request of a delivery, or one message: what came back, and what follows from it."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from dispatcher.model.backoff import RetryPolicy
from dispatcher.model.delivery import State


class Status(StrEnum):
    """Statuses of an attempt without a response. With one, the status is its code as a string ("API v3, Webhooks").

    The last two are a broker's answers, which has no such codes; what it says is in the result's reason.
    """

    TIMEOUT = "timeout"
    CONNECTION_FAILED = "connection_failed"
    SSL_ERROR = "ssl_error"
    UNKNOWN_ERROR = "unknown_error"
    BLOCKED_ADDRESS = "blocked_address"
    OAUTH2_TOKEN_REFUSED = "oauth2_token_refused"  # noqa: S105 - the name of a status
    OAUTH2_TOKEN_FAILED = "oauth2_token_failed"  # noqa: S105
    EGRESS_PROXY_FAILED = "egress_proxy_failed"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


NO_ADDRESS = "the host name has no address"
"""The reason of a connection that failed because of that."""
NOT_PERMITTED = "the address is not permitted"
"""That of one that was not opened."""
PROXY_ANSWERED = "the egress proxy answered "
"""The reason of one that a proxy has not opened begins so: it may know names of the network behind, too."""
_UNREACHABLE = "the host has no address that may be connected to"


def for_clients(status: str, reason: str | None) -> tuple[str, str | None]:
    """An attempt's status and reason as a webhook's owner sees them; operators see the attempt's own.

    A name with an address that is not public, and one without any, are one to them: whoever may create webhooks would
    learn otherwise which names there are in the network behind.
    """
    is_unreachable = reason is not None and (reason.endswith((NO_ADDRESS, NOT_PERMITTED)) or PROXY_ANSWERED in reason)
    if is_unreachable and status == Status.OAUTH2_TOKEN_FAILED:
        return status, f"token endpoint: {_UNREACHABLE}"
    if is_unreachable or status == Status.BLOCKED_ADDRESS:
        return Status.CONNECTION_FAILED, _UNREACHABLE
    return status, reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What one request came to. `status` is a code such as "204" or a Status; times are of the monotonic clock."""

    tag: int
    """The request's own; a drain sets the delivery's id."""
    status: str
    content_type: str | None = None
    body: bytes = b""
    headers: str | None = None
    """Of the response, a line each (`sender.wire.written_headers`); of a 2xx only where they were asked for."""
    retry_after: str | None = None
    """The header as received, unread."""
    reason: str | None = None
    """For people: why there is no response. Never holds an internal address or a secret."""
    started_s: float
    finished_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What follows from a result: the delivery's state and, if it stays pending, the wait before the next attempt.

    `pause`: how long the receiver asked for no requests at all.
    """

    state: State
    retry_in: timedelta | None = None
    pause: timedelta | None = None


def is_success(status: str, codes: Collection[str] | None = None) -> bool:
    """Whether it is among `codes` (`Options.success_codes`). Without these only 2xx: redirects are not followed.

    Always where a broker has confirmed the message.
    """
    if codes is None:
        return (len(status) == 3 and status[0] == "2") or status == Status.CONFIRMED
    return status in codes or f"{status[:1]}xx" in codes or status == Status.CONFIRMED


def judge(
    result: Result,
    attempt_number: int,
    policy: RetryPolicy,
    now: datetime,
    rng: random.Random,
    codes: Collection[str] | None = None,
) -> Verdict:
    """The verdict on attempt `attempt_number` (from 1); `now` is needed for a `Retry-After` that is a date.

    `codes`: those of the webhook that mean success.
    """
    if is_success(result.status, codes):
        return Verdict(state=State.DELIVERED)
    requested = retry_after(result.retry_after, now) if result.retry_after else None
    if requested is not None:
        requested = min(requested, policy.retry_after_max)
    pause = requested if result.status in _BUSY else None
    if attempt_number > policy.limit:
        return Verdict(state=State.FAILED, pause=pause)
    wait = policy.wait(attempt_number, rng)
    return Verdict(state=State.PENDING, retry_in=max(wait, requested or wait), pause=pause)


_BUSY = frozenset({"429", "503"})
"""With these, `Retry-After` is about the receiver, not about the one request (RFC 6585, 4; RFC 9110, 15.6.4)."""


def retry_after(header: str, now: datetime) -> timedelta | None:
    """`Retry-After` as a span from `now` (RFC 9110, 10.2.3): seconds or an HTTP date; None where it is neither."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:12]), 10**9))
    try:
        at = parsedate_to_datetime(text)
        return max(at - now, timedelta())
    except (ValueError, TypeError, OverflowError):
        return None  # also a date without a zone: RFC 9110 knows only GMT
