"""URLs of Redis behind Sentinels: `sentinel://:password@host:26379;host:26379/0?master=name`."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentinels:
    """What a `sentinel://` URL says: where the sentinels are, which primary is meant, and how to get in."""

    addresses: tuple[tuple[str, int], ...]
    master: str
    database: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    sentinel_password: str | None = field(repr=False)


def sentinels_of(url: str) -> Sentinels | None:
    """The parts of a `sentinel://` URL, None for one of another kind; raises ValueError where it is none."""
    scheme, _, rest = url.partition("://")  # `urlsplit` takes one host only: newer Pythons refuse `one;[::1]`
    if scheme != "sentinel":
        return None
    place, _, options = rest.partition("?")
    netloc, _, path = place.partition("/")
    login, _, hosts = netloc.rpartition("@")
    username, _, password = map(unquote, login.partition(":"))
    query = parse_qs(options)
    return Sentinels(
        addresses=tuple(_host_and_port(host) for host in hosts.split(";")),
        master=query.get("master", ["mymaster"])[0],
        database=int(path.strip("/") or 0),
        username=username if username and password else None,
        password=password or username or None,  # `sentinel://password@host` is understood as well
        sentinel_password=query.get("sentinel_password", [None])[0],
    )


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if text.rpartition(":")[2].isdecimal() else (text, "", "26379")
    if not host:
        raise ValueError("a host is missing")
    return host.strip("[]"), int(port)
