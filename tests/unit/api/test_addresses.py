from ipaddress import ip_network

from dispatcher.api.addresses import UNKNOWN, client_address, throttle_key
from tests.support.cases import each

TRUSTED = (ip_network("127.0.0.0/8"), ip_network("10.1.0.0/16"), ip_network("fd00::/8"))


@each(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "192.0.2.1", "203.0.113.5"),  # no proxy of ours: what it says of others is nothing
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "198.51.100.9, 192.0.2.1", "192.0.2.1"),  # the first is the client's own claim
        ("127.0.0.1", "198.51.100.9, 192.0.2.1, 10.1.2.3", "192.0.2.1"),
        ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        ("127.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.1, rubbish", "192.0.2.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("::ffff:127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:203.0.113.5", "192.0.2.1", "203.0.113.5"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("", "192.0.2.1", UNKNOWN),
    ],
)
def test_the_address_is_the_nearest_that_is_no_trusted_proxys(peer: str, forwarded: str | None, found: str) -> None:
    environ = {"REMOTE_ADDR": peer} | ({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})

    assert client_address(environ, TRUSTED) == found


@each(
    ("address", "customer"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        (UNKNOWN, UNKNOWN),
    ],
)
def test_the_addresses_of_one_customer_count_as_one(address: str, customer: str) -> None:
    assert throttle_key(address) == customer
