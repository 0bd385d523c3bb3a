"""One request on one handle of libcurl: how it is set up, where it may connect, what came of it.

A handle serves one request after another. Options that no request changes are set once, the others by every `prepare`.
Not for keeping many of them going: that is `curl`.
"""

import os
import re
import socket
from collections import deque
from collections.abc import Callable

import pycurl

from dispatcher.clock import monotonic
from dispatcher.model.attempt import NO_ADDRESS, Result, Status
from dispatcher.sender.contract import TOO_LARGE, Limits, Request
from dispatcher.sender.wire import STATUS_LINE, TEXT_LIMIT, HttpTarget, Resolver, check_headers, target

_IDLE_S = 4
"""Receivers close idle connections after 5 s or more (Node, Apache 5, nginx 75). Letting go a little earlier avoids
the moment in which we send into a connection that is being closed."""

_REFUSED = re.compile(rb"HTTP/2 stream \d+ refused by server")
"""libcurl tells of a refused stream only in its log. Should its words change, no repetition is let out at all."""

_ASKS = re.compile(rb".*TLS handshake, Request CERT")
"""Over TLS 1.3 a receiver that wants a certificate of ours breaks a connection off after the handshake."""

_LOG_LINES = 200
"""Kept of libcurl's log for one request; a handshake is some 30."""

_RECEIVED = frozenset({pycurl.INFOTYPE_HEADER_IN, pycurl.INFOTYPE_DATA_IN})
_TEXT, _TLS_IN = pycurl.INFOTYPE_TEXT, pycurl.INFOTYPE_SSL_DATA_IN
_RECORD_HEAD = 5
"""Bytes that begin each record of TLS; the last two are its length."""

_FAULTS: dict[int, tuple[Status, str]] = {
    pycurl.E_OPERATION_TIMEDOUT: (Status.TIMEOUT, "no complete answer in time"),
    pycurl.E_COULDNT_RESOLVE_HOST: (Status.CONNECTION_FAILED, NO_ADDRESS),
    pycurl.E_COULDNT_CONNECT: (Status.CONNECTION_FAILED, "the connection was refused or not possible"),
    pycurl.E_GOT_NOTHING: (Status.CONNECTION_FAILED, "the receiver hung up without an answer"),
    pycurl.E_ABORTED_BY_CALLBACK: (Status.CONNECTION_FAILED, "the receiver hung up without an answer"),
    pycurl.E_SEND_ERROR: (Status.CONNECTION_FAILED, "the connection broke while sending"),
    pycurl.E_RECV_ERROR: (Status.CONNECTION_FAILED, "the connection broke before the answer ended"),
    pycurl.E_PARTIAL_FILE: (Status.CONNECTION_FAILED, "the connection broke before the answer ended"),
    pycurl.E_HTTP2: (Status.CONNECTION_FAILED, "the connection broke (HTTP/2)"),
    92: (Status.CONNECTION_FAILED, "the receiver reset the stream (HTTP/2)"),  # CURLE_HTTP2_STREAM, unnamed in pycurl
    pycurl.E_PEER_FAILED_VERIFICATION: (Status.SSL_ERROR, "the receiver's certificate is not valid"),
    pycurl.E_SSL_CONNECT_ERROR: (Status.SSL_ERROR, "the TLS handshake failed"),
    pycurl.E_SSL_ISSUER_ERROR: (Status.SSL_ERROR, "the receiver's certificate is not valid"),
    pycurl.E_SSL_INVALIDCERTSTATUS: (Status.SSL_ERROR, "the receiver's certificate is not valid"),
    pycurl.E_SSL_CERTPROBLEM: (Status.SSL_ERROR, "the receiver asks for a certificate of ours"),
    98: (Status.SSL_ERROR, "the receiver asks for a certificate of ours"),  # CURLE_SSL_CLIENTCERT
    pycurl.E_SSL_CIPHER: (Status.SSL_ERROR, "no common cipher"),
    pycurl.E_USE_SSL_FAILED: (Status.SSL_ERROR, "the TLS handshake failed"),
    pycurl.E_SSL_SHUTDOWN_FAILED: (Status.SSL_ERROR, "the TLS connection was not ended properly"),
    pycurl.E_SSL_CACERT_BADFILE: (Status.SSL_ERROR, "our file of certificates cannot be read"),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: (Status.UNKNOWN_ERROR, "the answer is not HTTP"),  # not only FTP's
    pycurl.E_UNSUPPORTED_PROTOCOL: (Status.UNKNOWN_ERROR, "the answer is not HTTP"),  # HTTP/0.9
    pycurl.E_BAD_CONTENT_ENCODING: (Status.UNKNOWN_ERROR, "the answer is not HTTP"),  # a coding nobody asked for
    pycurl.E_FILESIZE_EXCEEDED: (Status.UNKNOWN_ERROR, TOO_LARGE),  # ours alone: libcurl has no limit to exceed
    100: (Status.UNKNOWN_ERROR, "the answer's headers are too large"),  # CURLE_TOO_LARGE
}
"""libcurl's codes → ours. Its own texts are not passed on: they may hold addresses."""


class _Handed(socket.socket):
    """A socket for libcurl, which takes a duplicate and drops this one: closed then, without Python's warning."""

    def __del__(self) -> None:
        descriptor = self.detach()
        if descriptor >= 0:  # it is not where the constructor failed
            os.close(descriptor)


class Exchange:
    """One handle and what it is at.

    `permits` is asked about each address; `ca_file` holds the trusted certificates. A handle whose response passes
    `Limits.receive_limit` is put into `flooded`: libcurl lets nobody end a transfer from where that is noticed.
    """

    def __init__(
        self, limits: Limits, permits: Callable[[str], bool], ca_file: str, flooded: list[pycurl.Curl]
    ) -> None:
        self.curl = pycurl.Curl()
        self._limits = limits
        self._permits = permits
        self._flooded = flooded
        self._tag = 0
        self._goal: HttpTarget | None = None
        self.started_s = 0.0
        self.stalled_before_s = 0.0  # the sender's, when this began
        self._body = bytearray()
        self._head: list[bytes] = []
        self.received = 0  # bytes of heads and bodies, by all requests of this handle
        self.records = 0  # bytes of TLS in which these came, and all that is not for us to see
        self.mark: tuple[int, int, int] | None = None  # the sender's: how far these were when it began to look
        self._receive_until = 0
        self._posts = 0
        self._said: deque[bytes] = deque(maxlen=_LOG_LINES)
        self._listens = False
        self._blocked = self._exhausted = self._full = False
        self._set_for_good(ca_file)

    def _set_for_good(self, ca_file: str) -> None:
        for option, value in {
            pycurl.NOSIGNAL: 1,  # signals and threads do not mix
            # The total timeout is the sender's business.
            pycurl.CONNECTTIMEOUT_MS: int(min(self._limits.connect_timeout_s, self._limits.timeout_s) * 1000),
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
            pycurl.FOLLOWLOCATION: 0,
            pycurl.PROXY: "",  # an empty one also keeps the environment's out
            pycurl.NOPROXY: "*",
            pycurl.NETRC: pycurl.NETRC_IGNORED,
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
            pycurl.HTTP09_ALLOWED: 0,
            pycurl.PIPEWAIT: 0,  # do not hold requests back to see whether a connection can be shared
            pycurl.MAXAGE_CONN: _IDLE_S,
            pycurl.CAINFO: ca_file,
            pycurl.SSL_VERIFYPEER: 1,
            pycurl.SSL_VERIFYHOST: 2,
            pycurl.HTTP_CONTENT_DECODING: 0,
            pycurl.OPENSOCKETFUNCTION: self._open,
            pycurl.PREREQFUNCTION: self._before_post,
            pycurl.WRITEFUNCTION: self._take,
            pycurl.HEADERFUNCTION: self._head.append,  # a function in C: no step of ours for each header
            pycurl.DEBUGFUNCTION: self._hear,
        }.items():
            self.curl.setopt(option, value)
        self.curl.unsetopt(pycurl.CAPATH)  # certifi's and no others, wherever this libcurl was built

    def prepare(self, request: Request, resolver: Resolver | None) -> None:
        """Sets up `request`. Raises Unsendable, or pycurl.error for what libcurl does not take."""
        self._tag, self.started_s, self._posts, self.mark = request.tag, monotonic(), 0, None
        self._receive_until = self.received + self._limits.receive_limit
        self._blocked = self._exhausted = self._full = False
        goal = target(request.url)
        check_headers(request.headers)
        if goal is not self._goal:  # the same webhook's next delivery, more often than not
            self.curl.setopt(pycurl.URL, goal.url)
            self.curl.setopt(pycurl.REQUEST_TARGET, goal.path)
            self._goal = goal
        self.listen(goal.is_tls)
        self.curl.setopt(pycurl.POSTFIELDS, request.body)
        self.curl.setopt(pycurl.HTTPHEADER, _lines(request))
        if resolver is not None:
            addresses = ",".join(f"[{address}]" if ":" in address else address for address in resolver(goal.host))
            self.curl.setopt(pycurl.RESOLVE, [f"{goal.host}:{goal.port}:{addresses}"])

    def listen(self, on: bool = True) -> None:
        """Has libcurl tell what it does and receives, which costs a sixth more for a request over plain HTTP."""
        if self._listens is not on:
            self.curl.setopt(pycurl.VERBOSE, on)
            self._listens = on

    def outcome(self, code: int | None) -> Result:
        """The result, given libcurl's `code` (None: all went well). A body that was cut is an answer like any other."""
        if code is None or self._full:
            return self._answer()
        if self._exhausted:
            return self.result(Status.UNKNOWN_ERROR, "no socket left on our side")
        if self._blocked and not self.curl.getinfo(pycurl.CONNECT_TIME):
            return self.result(Status.BLOCKED_ADDRESS, "the address is not permitted")
        if code in (pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR) and any(map(_ASKS.match, self._said)):
            code = pycurl.E_SSL_CERTPROBLEM
        return self.result(*_FAULTS.get(code, (Status.UNKNOWN_ERROR, f"libcurl error {code}")))

    def forget(self) -> None:
        """Drops what came, once it is in a result: some hundred idle handles would keep as many bodies."""
        self._body.clear()
        self._head.clear()
        self._said.clear()

    def result(self, status: str, reason: str) -> Result:
        """A result without an answer."""
        return Result(tag=self._tag, status=status, reason=reason, started_s=self.started_s, finished_s=monotonic())

    def close(self) -> None:
        """Frees the handle."""
        self.curl.close()

    def _answer(self) -> Result:
        flaw, content_type, retry_after = _from_head(self._head)
        if flaw is not None:
            return self.result(*_FAULTS[flaw])
        return Result(
            tag=self._tag,
            status=str(self.curl.getinfo(pycurl.RESPONSE_CODE)),
            content_type=content_type,
            retry_after=retry_after,
            body=bytes(self._body),
            started_s=self.started_s,
            finished_s=monotonic(),
        )

    def _hear(self, kind: int, text: bytes) -> None:
        """Takes what libcurl says of its doings, and counts what it receives.

        That is the body as it came: an extension of a chunk is neither shown to `_take` nor counted elsewhere.
        """
        if kind in _RECEIVED:
            self.received += len(text)
            if self.received > self._receive_until:
                self._flooded.append(self.curl)
        elif kind == _TEXT:
            self._said.append(text)
        elif kind == _TLS_IN and len(text) == _RECORD_HEAD:
            self.records += text[3] << 8 | text[4]

    def _open(self, _purpose: int, address: tuple[int, int, int, tuple[object, ...]]) -> socket.socket | int:
        """A socket to connect to `address`. After a refusal libcurl goes on with the host's next address."""
        family, kind, protocol, where = address
        if family not in (socket.AF_INET, socket.AF_INET6) or not self._permits(str(where[0])):
            self._blocked = True
            return pycurl.SOCKET_BAD
        try:
            return _Handed(family, kind, protocol)
        except OSError:
            self._exhausted = True
            return pycurl.SOCKET_BAD

    def _before_post(self, *_where: object) -> int:
        """Lets one request out and no second.

        libcurl repeats a request of its own accord where a kept connection ends without an answer. The receiver may
        have acted on the first by then, and no attempt would be recorded for the second. But a stream that an HTTP/2
        receiver refused was not looked at (RFC 9113, 8.7): every nginx refuses some when it renews a connection.
        """
        if self._posts and self._posts > sum(map(bool, map(_REFUSED.match, self._said))):
            return pycurl.PREREQFUNC_ABORT
        self._posts += 1
        return pycurl.PREREQFUNC_OK

    def _take(self, data: bytes) -> int | None:
        room = self._limits.body_limit - len(self._body)
        if len(data) <= room:
            self._body += data
            return None
        self._body += data[:room]
        self._full = True
        return 0  # anything but None or the length ends the transfer


def _lines(request: Request) -> list[str]:
    """The headers as libcurl wants them: a semicolon stands for an empty value, an empty value for "leave it out"."""
    lines = [f"{name}: {value}" if value.strip() else f"{name};" for name, value in request.headers]
    if not any(name.lower() == "content-type" for name, _ in request.headers):
        lines.append("Content-Type:")  # libcurl would call the body a form
    lines.append("Expect:")  # nor ask first whether a large body is welcome: that costs a second with many receivers
    return lines


def _from_head(lines: list[bytes]) -> tuple[int | None, str | None, str | None]:
    """Content-Type and Retry-After of the final head: 1xx heads come before it, trailers after its empty line.

    Before them libcurl's code for what libcurl itself lets pass: a status line that is none, and a head without an end.
    """
    content_type = retry_after = None
    began = ended = False
    for line in lines:
        if (ended or not began) and line.startswith(b"HTTP/"):
            if not STATUS_LINE.match(line):
                began = False
                break
            content_type = retry_after = None
            began, ended = True, False
        elif line == b"\r\n" or line == b"\n":
            ended = True
        elif not ended:
            name, _, value = line.partition(b":")
            match name.lower():
                case b"content-type":
                    content_type = value
                case b"retry-after":
                    retry_after = value
    flaw = pycurl.E_FTP_WEIRD_SERVER_REPLY if not began else pycurl.E_PARTIAL_FILE if not ended else None
    return flaw, _text(content_type), _text(retry_after)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.strip().decode("latin-1")[:TEXT_LIMIT]
