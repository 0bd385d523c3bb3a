"""The address of a client: the peer's, or the one that trusted proxies report."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from dispatcher.settings import Network

UNKNOWN = "unknown"
"""The address of a request that has no peer."""
_SITE_BITS = 64
"""The part of an IPv6 address that a provider assigns to one customer, who chooses the rest."""

Address = IPv4Address | IPv6Address


def client_address(environ: Mapping[str, Any], trusted: Sequence[Network]) -> str:
    """The nearest address that is no trusted proxy's: the peer's, or one that proxies appended to `X-Forwarded-For`.

    What stands before that one is its own claim, and is not read.
    """
    address = _parsed(environ.get("REMOTE_ADDR", ""))
    for text in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if address is None or not any(address in network for network in trusted):
            break
        address = _parsed(text) or address
    return str(address) if address is not None else UNKNOWN


def is_trusted(environ: Mapping[str, Any], trusted: Sequence[Network]) -> bool:
    """Whether the peer is a trusted proxy."""
    peer = _parsed(environ.get("REMOTE_ADDR", ""))
    return peer is not None and any(peer in network for network in trusted)


def throttle_key(address: str) -> str:
    """The key by which attempts are counted: an IPv4 address, or the network of an IPv6 address."""
    parsed = _parsed(address)
    return str(IPv6Network((parsed, _SITE_BITS), strict=False)) if isinstance(parsed, IPv6Address) else address


def _parsed(text: str) -> Address | None:
    """With or without a port; an IPv4 address that is mapped to IPv6 becomes IPv4 again."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
