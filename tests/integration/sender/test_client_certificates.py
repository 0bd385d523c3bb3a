"""Client certificates: shown to a receiver that asks, and never over a connection of another webhook's."""

import ssl
from datetime import UTC, datetime

from dispatcher.model.attempt import Status
from dispatcher.model.credentials import ClientCertificate
from dispatcher.sender.contract import CERTIFICATE_REFUSED
from tests.support.cases import each
from tests.support.posting import MakeSender, post
from tests.support.receiver import Authority, Receiver

OURS, OTHER = "ours.test", "other.test"


def _certificate(authority: Authority, name: str) -> ClientCertificate:
    pem, key = authority.client(name)
    return ClientCertificate(certificate=pem, private_key=key, subject=name, expires_at=datetime.now(UTC))


@each("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_receiver_that_asks_for_one_is_shown_it(
    make_sender: MakeSender, authority: Authority, ca_file: str, newest: ssl.TLSVersion
) -> None:
    sender, tls, ours = make_sender(ca_file=ca_file), authority.asking(), _certificate(authority, OURS)
    tls.maximum_version = newest
    with Receiver(tls=tls) as receiver:
        assert [post(sender, receiver.url("/hook"), certificate=ours).status for _ in range(2)] == ["200"] * 2
        assert receiver.clients == {1: OURS}


@each("http2", [False, True])
def test_no_connection_is_used_with_another_certificate_than_its_own(
    make_sender: MakeSender, authority: Authority, ca_file: str, http2: bool
) -> None:
    sender = make_sender(ca_file=ca_file)
    ours, other = _certificate(authority, OURS), _certificate(authority, OTHER)
    with Receiver(tls=authority.asking(ssl.CERT_OPTIONAL), http2=http2) as receiver:
        for shown in (ours, None, other, None, ours, other):
            assert post(sender, receiver.url("/hook"), certificate=shown).status == "200"

        clients = [receiver.clients.get(request.connection) for request in receiver.requests]
        assert clients == [OURS, None, OTHER, None, OURS, OTHER]


@each("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_one_that_the_receiver_does_not_trust(
    make_sender: MakeSender, authority: Authority, ca_file: str, newest: ssl.TLSVersion
) -> None:
    sender, tls = make_sender(ca_file=ca_file), authority.asking()
    tls.maximum_version = newest
    with Receiver(tls=tls) as receiver:
        result = post(sender, receiver.url("/hook"), certificate=_certificate(Authority(), OURS))

        # By TLS 1.3 it is refused after the handshake: what the receiver says may be lost with its connection.
        lost = {(Status.SSL_ERROR, "the TLS handshake failed")} if newest == ssl.TLSVersion.TLSv1_3 else set()
        assert (result.status, result.reason) in {(Status.SSL_ERROR, CERTIFICATE_REFUSED), *lost}
        assert receiver.requests == []
