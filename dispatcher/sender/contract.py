"""What a sender is: it takes requests, keeps many in flight, and gives back results as they come.

It never raises for a receiver's fault: a fault is a status. Two implementations keep this contract, `curl` and
`portable` (requests); `tests/integration/sender` runs the same suite on both. `choose` makes the one that is set.

A result with a code comes only from a whole response, or from one whose body was longer than `body_limit` and was cut.
One attempt is one POST at most: no sender repeats a request by itself, whatever became of the connection. Only where a
401 says that a token of OAuth 2.0 is no longer valid, `authorizing` sends it again with another.
A response that goes on and on is ended (`Limits.receive_limit`), whatever it consists of.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.model.attempt import Result
from dispatcher.model.credentials import ClientCertificate, OAuth2
from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.destination import Destination
from dispatcher.model.options import NO_OPTIONS
from dispatcher.model.webhook import Target
from dispatcher.payload import destination
from dispatcher.sender.egress import DIRECT, Egress
from dispatcher.settings import Network


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One POST. `tag` comes back in its Result. Header names and values are ASCII and hold no line breaks.

    With a `destination` it is a message (`mixed`), which no sender of HTTP is given.
    """

    tag: int
    url: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    timeout_s: float | None = None
    """In the place of `Limits.timeout_s`, where it is shorter."""
    keeps_headers: bool = False
    """Whether the headers of a response are wanted also where it is a 2xx."""
    body_limit: int | None = None
    """In the place of `Limits.body_limit`."""
    certificate: ClientCertificate | None = None
    """For a receiver that asks for one; no other request goes over its connections."""
    oauth2: OAuth2 | None = None
    """Whose token is sent with it (`authorizing`): senders ignore it."""
    destination: Destination | None = None
    address: str | None = None
    """For the proxy, in the place of the URL's host (`lookups`): one that is permitted."""
    method: str = "POST"
    """PUT for objects of S3."""


def request_to(
    target: Target,
    delivery: ClaimedDelivery,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    keeps_headers: bool = False,
) -> Request:
    """A POST to a webhook, or a message for its destination, as its options have it."""
    options = target.options
    if options is NO_OPTIONS:
        return Request(tag=delivery.id, url=target.url, headers=headers, body=body, keeps_headers=keeps_headers)
    return Request(
        tag=delivery.id,
        url=target.url,
        headers=headers,
        body=body,
        timeout_s=options.timeout_s,
        keeps_headers=keeps_headers,
        certificate=options.client_certificate,
        oauth2=options.oauth2,
        destination=destination(delivery, target),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What bounds an exchange.

    `timeout_s` from `start` to the end of the response, `connect_timeout_s` of it for lookup, connect and TLS;
    `body_limit` bytes of the response are kept. `allowed_networks` may be sent to though they are not public,
    `refused_networks` may not though they are public, or allowed.
    """

    timeout_s: float = 30.0
    connect_timeout_s: float = 10.0
    body_limit: int = 65_536
    allowed_networks: tuple[Network, ...] = ()
    refused_networks: tuple[Network, ...] = ()
    egress: Egress = DIRECT

    @property
    def receive_limit(self) -> int:
        """Bytes after which a response is ended: its body, and a MiB for heads, trailers and the framing of chunks."""
        return self.body_limit + (1 << 20)

    def timeout_of(self, request: Request) -> float:
        """Seconds that `request` may take."""
        return self.timeout_s if request.timeout_s is None else min(request.timeout_s, self.timeout_s)

    def body_limit_of(self, request: Request) -> int:
        """Bytes of its response that are kept."""
        return self.body_limit if request.body_limit is None else request.body_limit


TOO_LARGE = "the response is too large"
"""The reason where `Limits.receive_limit` ended a response."""
CERTIFICATE_REFUSED = "the receiver refuses the client certificate"


class Sender(Protocol):
    """Used by one thread, but for `wake`. Connections are kept between requests and closed by `close`."""

    @property
    def capacity(self) -> int:
        """Requests that can be in flight at once. More may be started, but they wait, and their time runs."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests started whose result was not given back."""
        ...

    def start(self, request: Request) -> None:
        """Begins `request`; returns at once."""
        ...

    def results(self, wait_s: float) -> list[Result]:
        """What has finished; waits up to `wait_s` seconds for the first, not at all where nothing is in flight.

        A sender may do its work only in here, so whoever has requests in flight calls it often.
        """
        ...

    def wake(self) -> None:
        """Ends the wait of a `results` under way, or of the next; by any thread."""
        ...

    def close(self) -> None:
        """Abandons what is in flight and closes all connections."""
        ...
