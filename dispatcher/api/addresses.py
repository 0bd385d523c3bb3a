"""Whence a request comes: the peer's address, or what proxies that are trusted say of it."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from dispatcher.settings import Network

UNKNOWN = "unknown"
"""Of a request without a peer's address."""
_SITE_BITS = 64
"""Of an IPv6 address, those that a provider gives to one customer; the others are the customer's to choose."""

Address = IPv4Address | IPv6Address


def client_address(environ: Mapping[str, Any], trusted: Sequence[Network]) -> str:
    """The nearest address that is no trusted proxy's: the peer's, or one that proxies appended to `X-Forwarded-For`.

    What stands before that one is its own claim, and is not read.
    """
    found = _address(environ.get("REMOTE_ADDR", ""))
    for text in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if found is None or not any(found in network for network in trusted):
            break
        found = _address(text) or found
    return str(found) if found is not None else UNKNOWN


def is_trusted(environ: Mapping[str, Any], trusted: Sequence[Network]) -> bool:
    """Whether the peer is a proxy of ours."""
    peer = _address(environ.get("REMOTE_ADDR", ""))
    return peer is not None and any(peer in network for network in trusted)


def one_customer(address: str) -> str:
    """By what tries are counted: an IPv4 address, or the network of an IPv6 one, in which everyone has 2^64 of them."""
    found = _address(address)
    return str(IPv6Network((found, _SITE_BITS), strict=False)) if isinstance(found, IPv6Address) else address


def _address(text: str) -> Address | None:
    """With or without a port; an IPv4 address in IPv6's clothes is what it is."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
