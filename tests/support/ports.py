"""Ports of this machine that nobody listens on, and what answers there."""

import itertools
import os
import urllib.error
import urllib.request
from collections.abc import Iterator

from dispatcher.local.folder import PORTS, is_port_free

_APART = 37  # processes of one run have ids beside each other; this is more than one of them asks for


def free_port(after: int = 0) -> int:
    """A free one that other processes which look at the same time do not find; `after` leaves so many free ones out."""
    return next(itertools.islice(_free(), after, None))


def free_ports(count: int) -> list[int]:
    """So many different ones."""
    return list(itertools.islice(_free(), count))


def _free() -> Iterator[int]:
    first = os.getpid() * _APART % len(PORTS)
    return (port for port in (*PORTS[first:], *PORTS[:first]) if is_port_free(port))


def status(url: str) -> int:
    """The HTTP status; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def page(url: str) -> str:
    """The text of a page; empty while nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""
