"""What the tests of senders share: how one is made, and how a POST and its result are waited for."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dispatcher.model.attempt import Result
from dispatcher.model.credentials import ClientCertificate, OAuth2
from dispatcher.sender.authorizing import Tokens
from dispatcher.sender.contract import Request, Sender

LOOPBACK = ("127.0.0.0/8", "::1/128")


class MakeSender(Protocol):
    def __call__(
        self,
        *,
        allowed: Sequence[str] = LOOPBACK,
        refused: Sequence[str] = (),
        timeout_s: float = 10,
        connect_timeout_s: float = 5,
        body_limit: int = 65_536,
        ca_file: str | None = None,
        resolver: Callable[[str], Sequence[str]] | None = None,
        tokens: Tokens | None = None,
    ) -> Sender: ...


def collect(sender: Sender, count: int, within_s: float = 15.0) -> list[Result]:
    """The next `count` results, in order of their tags."""
    results: list[Result] = []
    until = time.monotonic() + within_s
    while len(results) < count:
        assert time.monotonic() < until, f"{len(results)} of {count} results came within {within_s} s"
        results += sender.results(0.5)
    return sorted(results, key=lambda result: result.tag)


def post(
    sender: Sender,
    url: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"{}",
    tag: int = 1,
    keeps_headers: bool = False,
    certificate: ClientCertificate | None = None,
    oauth2: OAuth2 | None = None,
) -> Result:
    """One POST and its result."""
    options: dict[str, Any] = {"keeps_headers": keeps_headers, "certificate": certificate, "oauth2": oauth2}
    sender.start(Request(tag=tag, url=url, headers=headers, body=body, **options))
    (result,) = collect(sender, 1)
    assert result.tag == tag
    assert sender.in_flight == 0
    assert "127.0.0.1" not in (result.reason or "")
    return result
