"""Which addresses may be sent to. Asked at the moment a socket opens, about the very address it will connect to.

Not for URLs or names: a name is harmless until it has an address, and a name checked earlier may have another one
by then. `ipaddress.is_global` is not used, because it is wrong in places (on Python 3.11 for 64:ff9b:1::/48,
2002::/16, 3fff::/20, 192.88.99.0/24 and more), so the table is written out.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from dispatcher.settings import Network

Address = IPv4Address | IPv6Address

REFUSED: dict[Network, str] = {
    ip_network(network): what
    for network, what in {
        "0.0.0.0/8": "unspecified, this network",
        "10.0.0.0/8": "private",
        "100.64.0.0/10": "carrier-grade NAT",
        "127.0.0.0/8": "loopback",
        "168.63.129.16/32": "a cloud's platform service, reachable only from inside it",
        "169.254.0.0/16": "link-local, and the metadata service of most clouds",
        "172.16.0.0/12": "private",
        "192.0.0.0/24": "protocol assignments",
        "192.0.2.0/24": "documentation",
        "192.31.196.0/24": "AS112, a sink for reverse lookups",
        "192.52.193.0/24": "automatic multicast tunnelling",
        "192.88.99.0/24": "6to4 relays, deprecated",
        "192.168.0.0/16": "private",
        "192.175.48.0/24": "AS112, a sink for reverse lookups",
        "198.18.0.0/15": "benchmarking",
        "198.51.100.0/24": "documentation",
        "203.0.113.0/24": "documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved, and broadcast",
        # Of IPv6 only what lies inside 2000::/3 is listed: everything outside is refused anyway.
        "2001::/23": "protocol assignments, Teredo, ORCHID, benchmarking",
        "2001:db8::/32": "documentation",
        "2002::/16": "6to4, deprecated; it would carry any IPv4 address inside",
        "2620:4f:8000::/48": "AS112, a sink for reverse lookups",
        "3fff::/20": "documentation",
    }.items()
}
"""Networks that are refused (IANA's special-purpose registries and what clouds keep for themselves), and why."""

_GLOBAL_UNICAST = ip_network("2000::/3")
# In a network without IPv4, DNS64 gives every IPv4-only receiver an address in here, so the inner address decides.
# 64:ff9b:1::/48 is for local use and stays refused.
_NAT64 = ip_network("64:ff9b::/96")


class AddressGuard:
    """Permits global unicast addresses and `allowed_networks`, and of neither what is in `refused_networks`."""

    def __init__(self, allowed_networks: Iterable[Network] = (), refused_networks: Iterable[Network] = ()) -> None:
        self._allowed = tuple(allowed_networks)
        self._refused = tuple(refused_networks)
        self.permits_text = lru_cache(maxsize=65_536)(self._permits_text)
        """As `permits`, for an address as the system writes it (`fe80::1%eth0`); False for what is not an address.

        Remembered, because to read an address costs more than all else about it, and what is allowed never changes.
        """

    def _permits_text(self, address: str) -> bool:
        try:
            return self.permits(ip_address(address.partition("%")[0]))
        except ValueError:
            return False

    def permits(self, ip: Address) -> bool:
        """Whether a connection to `ip` may be opened."""
        inner = _inner(ip)
        if _is_in(self._refused, ip, inner):
            return False
        if _is_in(self._allowed, ip, inner):
            return True
        if inner.version == 6 and inner not in _GLOBAL_UNICAST:
            return False
        return not _is_in(REFUSED, inner)


def _is_in(networks: Iterable[Network], *forms: Address) -> bool:
    return any(ip in network for network in networks for ip in forms)  # False where the versions differ


def _inner(ip: Address) -> Address:
    """The IPv4 address that a packet to `ip` would really go to, where `ip` only wraps it; otherwise `ip`."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else ip
