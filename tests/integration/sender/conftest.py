"""Both senders, made with short limits and closed afterwards, and one authority for all TLS."""

from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from dispatcher.sender.authorizing import AuthorizingSender, Tokens
from dispatcher.sender.contract import Limits, Sender
from dispatcher.sender.curl import CurlSender
from dispatcher.sender.portable import RequestsSender
from tests.support.posting import LOOPBACK, MakeSender
from tests.support.receiver import Authority, Receiver

KINDS: dict[str, type[CurlSender] | type[RequestsSender]] = {"curl": CurlSender, "requests": RequestsSender}


@pytest.fixture(params=sorted(KINDS))
def make_sender(request: pytest.FixtureRequest) -> Iterator[MakeSender]:
    made: list[Sender] = []

    def make(
        *,
        allowed: Sequence[str] = LOOPBACK,
        refused: Sequence[str] = (),
        timeout_s: float = 10,
        connect_timeout_s: float = 5,
        body_limit: int = 65_536,
        ca_file: str | None = None,
        resolver: Callable[[str], Sequence[str]] | None = None,
        tokens: Tokens | None = None,
    ) -> Sender:
        limits = Limits(
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            body_limit=body_limit,
            allowed_networks=tuple(map(ip_network, allowed)),
            refused_networks=tuple(map(ip_network, refused)),
        )
        sender = KINDS[request.param](limits, ca_file=ca_file, resolver=resolver)
        made.append(AuthorizingSender(sender, limits, tokens or Tokens()))
        return made[-1]

    yield make
    for sender in made:
        sender.close()


@pytest.fixture
def sender(make_sender: MakeSender) -> Sender:
    return make_sender()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def ca_file(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("ca")
    return authority.write_ca(folder)
