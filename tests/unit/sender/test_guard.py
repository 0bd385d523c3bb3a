"""Which addresses are permitted: by example, and as rules over all addresses."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.sender.guard import REFUSED, AddressGuard
from tests.support.cases import each

PUBLIC = [
    "8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0",
    "169.253.255.255", "192.0.1.0", "168.63.129.15", "168.63.129.17", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::200e", "2001:200::1", "2003::1", "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]  # fmt: skip
NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
    "127.255.255.255", "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.0", "172.31.255.255",
    "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1",
    "192.168.0.1", "192.175.48.1", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b:1::1", "64:ff9b:1::8.8.8.8", "100::1", "100:0:0:1::1", "2001::1", "2001:2::1",
    "2001:10::1", "2001:20::1", "2001:1ff::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1",
    "2620:4f:8000::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
    "febf::1", "fec0::1", "feff::1", "ff02::1", "ff0e::1",
]  # fmt: skip

any_v4 = st.ip_addresses(v=4)
any_address = st.ip_addresses()


@each("address", PUBLIC)
def test_a_public_address_is_permitted(address: str) -> None:
    assert AddressGuard().permits_text(address)


@each("address", NOT_PUBLIC)
def test_any_other_address_is_refused(address: str) -> None:
    assert not AddressGuard().permits_text(address)


@each("text", ["", "localhost", "127.1", "0x7f.1", "1.2.3.4.5", "/tmp/socket", "[::1]"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert not AddressGuard([ip_network("0.0.0.0/0"), ip_network("::/0")]).permits_text(text)


def test_an_allowed_network_opens_an_exception_and_no_more() -> None:
    guard = AddressGuard([ip_network("10.1.0.0/16"), ip_network("fd00::/64")])

    opened = ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00::5"]
    closed = ["10.2.0.1", "::ffff:10.2.0.1", "::10.1.2.3", "2002:a01:203::1", "fd00:0:0:1::5", "127.0.0.1", "::1"]

    assert [address for address in opened if not guard.permits_text(address)] == []
    assert [address for address in closed if guard.permits_text(address)] == []


def test_a_refused_network_wins_over_an_allowed_one_however_it_is_written() -> None:
    guard = AddressGuard(
        allowed_networks=[ip_network("10.0.0.0/8"), ip_network("64:ff9b::/96")],
        refused_networks=[ip_network("10.1.0.0/16"), ip_network("8.8.8.8/32"), ip_network("2a00:1450::/32")],
    )

    opened = ["10.2.0.1", "::ffff:10.2.0.1", "8.8.4.4", "64:ff9b::127.0.0.1", "2a00:1451::1"]
    closed = ["10.1.0.1", "::ffff:10.1.0.1", "64:ff9b::10.1.0.1", "8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]

    assert [address for address in opened if not guard.permits_text(address)] == []
    assert [address for address in (*closed, "2a00:1450::1") if guard.permits_text(address)] == []


@each(
    "embedding",
    [
        "::ffff:{0}", "::{0}", "::ffff:0:{0}", "64:ff9b::{0}", "64:ff9b:1::{0}", "2002:{1}::1", "2001:0:{1}::",
        "2001::{2}", "fe80::5efe:{0}", "fc00::5efe:{0}", "fec0::{0}",
    ],
)  # fmt: skip
@each("inner", [address for address in NOT_PUBLIC if "." in address and ":" not in address])
def test_no_embedding_carries_an_address_inside(embedding: str, inner: str) -> None:
    ip = int(IPv4Address(inner))
    address = embedding.format(inner, _hextets(ip), _hextets(ip ^ 0xFFFF_FFFF))  # Teredo's clients are inverted

    assert not AddressGuard().permits_text(address)


def _hextets(ip: int) -> str:
    return f"{ip >> 16:x}:{ip & 0xFFFF:x}"


@given(any_address)
def test_nothing_is_permitted_that_python_knows_as_not_global(ip: IPv4Address | IPv6Address) -> None:
    permitted = AddressGuard().permits(ip)

    if permitted and not (isinstance(ip, IPv6Address) and (ip.ipv4_mapped or ip in ip_network("64:ff9b::/96"))):
        assert ip.is_global
        assert not ip.is_multicast
        assert not ip.is_reserved


@given(st.data())
def test_every_address_of_a_refused_network_is_refused(data: st.DataObject) -> None:
    network = data.draw(st.sampled_from(sorted(REFUSED, key=str)))

    assert not AddressGuard().permits(data.draw(st.ip_addresses(network=network)))


@given(any_v4)
def test_a_wrapped_address_is_judged_by_what_is_inside(ip: IPv4Address) -> None:
    guard = AddressGuard()

    assert guard.permits(ip_address(f"::ffff:{ip}")) == guard.permits(ip)
    assert guard.permits(ip_address(f"64:ff9b::{ip}")) == guard.permits(ip)


@given(any_v4)
def test_old_wrappings_are_refused_whatever_is_inside(ip: IPv4Address) -> None:
    compatible = IPv6Address(int(ip))
    six_to_four = IPv6Address((0x2002 << 112) | (int(ip) << 80))
    teredo = IPv6Address((0x2001_0000 << 96) | int(ip))

    assert not any(map(AddressGuard().permits, (compatible, six_to_four, teredo)))


@given(st.ip_addresses(v=6))
def test_outside_global_unicast_only_wrapped_addresses_are_permitted(ip: IPv6Address) -> None:
    wrapped = ip.ipv4_mapped is not None or ip in ip_network("64:ff9b::/96")

    if ip not in ip_network("2000::/3") and not wrapped:
        assert not AddressGuard().permits(ip)


@given(any_address)
def test_the_answer_does_not_change_when_asked_again(ip: IPv4Address | IPv6Address) -> None:
    guard = AddressGuard()

    assert guard.permits(ip) == guard.permits(ip) == guard.permits_text(str(ip))


@given(any_address, st.data())
def test_what_is_allowed_is_permitted_whatever_it_is(ip: IPv4Address | IPv6Address, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, ip.max_prefixlen))
    network = ip_network((ip, length), strict=False)

    assert AddressGuard([network]).permits(ip)
    assert not AddressGuard([network], [network]).permits(ip)
