"""The way out of the network: straight to receivers or by a proxy that connects to them, and from which address.

A proxy is asked with CONNECT for plain HTTP too: its own responses are then never taken for those of receivers.
"""

from base64 import b64encode
from dataclasses import dataclass

from dispatcher.model.attempt import PROXY_ANSWERED, Status
from dispatcher.settings import Proxy

PROXY_AWAY = "the egress proxy cannot be connected to, or broke the connection off"
PROXY_SLOW = "the egress proxy has not connected in time"

_RECEIVER_CODES = frozenset({502, 503, 504})
"""What proxies answer where the receiver cannot be reached, or its name has no address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Egress:
    """`resolves`: whether names are looked up here, so that a proxy is asked for addresses that the guard permits.

    `addresses`: those of this machine that connections are opened from, one of a family; none: the system's choice.
    """

    proxy: Proxy | None = None
    resolves: bool = True
    addresses: tuple[str, ...] = ()

    def source(self, *, is_v6: bool) -> str | None:
        """The address from which a connection of this family is opened; None: there is none."""
        return next((address for address in self.addresses if (":" in address) is is_v6), None)


DIRECT = Egress()


def proxy_fault(code: int) -> tuple[Status, str]:
    """What a proxy's response to CONNECT means that is not 2xx; 0: it gave none."""
    if not code:
        return Status.EGRESS_PROXY_FAILED, PROXY_AWAY
    is_receivers = code in _RECEIVER_CODES
    return Status.CONNECTION_FAILED if is_receivers else Status.EGRESS_PROXY_FAILED, f"{PROXY_ANSWERED}{code}"


def connect_head(proxy: Proxy, host: str, port: int) -> bytes:
    """The request that asks `proxy` to connect to `host`."""
    to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {to} HTTP/1.1", f"Host: {to}"]
    if proxy.username:
        pair = b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {pair}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
