"""What may go on the wire, checked once for both senders: the URL they are given and the headers.

Storage refuses bad URLs and headers when a webhook is saved; this is the last line behind it, for rows that came
another way. Not for addresses: those are the guard's.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

import idna

Resolver = Callable[[str], Sequence[str]]
"""A host name → its addresses. Instead of the system's lookup, for tests of what a changing name does."""

TEXT_LIMIT = 1_000
"""Characters kept of a response header."""

HEADERS_LIMIT = 8_192
"""Characters kept of all headers of a response."""
NOT_KEPT = frozenset({"set-cookie", "set-cookie2"})
"""Headers of a response, in lower case, whose values are nobody's business: they open sessions with the receiver."""

STATUS_LINE = re.compile(rb"HTTP/(?:1\.[01]|2) ([1-9][0-9]{2})[ \r\n]")
"""How a head begins. Either library takes some lines beside these for one: libcurl reads `2000` as 200."""

_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")  # a backslash is a slash to some parsers and a letter to others
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+(%[a-z0-9._-]+)?")
_HEADERS = re.compile(r"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e]*\n)*")


class Unsendable(Exception):
    """The request cannot be put on the wire as it is; says why, without repeating it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpTarget:
    """A URL ready to send: `url` is ASCII, without fragment; `host` is lower case, an IPv6 address without brackets.

    `path` is its path and query, for the request line: both libraries would rewrite escapes and dots in it.
    """

    url: str
    path: str
    host: str
    port: int
    is_tls: bool


@lru_cache(maxsize=8_192)
def parse_target(url: str) -> HttpTarget:
    """`url`, which may be an IRI: host by IDNA, the rest percent-encoded as UTF-8. Raises Unsendable.

    What is ASCII already stays letter for letter: some receivers compare a token in the query byte by byte.
    """
    if _CONTROL.search(url):
        raise Unsendable("the URL holds a control character or a backslash")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Unsendable("the URL cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise Unsendable("the URL is not http or https")
    if "@" in parts.netloc:
        # Leaving them out would send an unauthenticated request; sending them would bypass the webhook's auth header.
        raise Unsendable("the URL holds credentials")
    host = _ascii_host(host)
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    path, query = quote(parts.path or "/", safe=_ASCII), quote(parts.query, safe=_ASCII)
    return HttpTarget(
        url=urlunsplit((parts.scheme, netloc, path, query, "")),
        path=f"{path}?{query}" if query else path,
        host=host,
        is_tls=parts.scheme == "https",
        port=port if port is not None else 443 if parts.scheme == "https" else 80,
    )


def _ascii_host(host: str) -> str:
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError:
            raise Unsendable("the URL's host is not a name") from None
    if not _HOST.fullmatch(host):
        raise Unsendable("the URL's host is not a name")
    return host


def written_headers(fields: Iterable[tuple[str, str]]) -> str | None:
    """The headers of a response for people, a line each, bounded; None: there are none."""
    lines = (
        f"{name[:TEXT_LIMIT]}: {'(not kept)' if name.lower() in NOT_KEPT else value.strip()[:TEXT_LIMIT]}"
        for name, value in fields
    )
    return "\n".join(lines)[:HEADERS_LIMIT] or None


def check_headers(headers: Sequence[tuple[str, str]]) -> None:
    """Raises Unsendable where a header could end its line early and smuggle in another, or is not ASCII."""
    lines = "".join(f"{name}: {value}\n" for name, value in headers)
    if not _HEADERS.fullmatch(lines) or lines.count("\n") != len(headers):
        raise Unsendable("a header is not a token and printable ASCII")
