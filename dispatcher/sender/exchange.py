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
from dispatcher.model.attempt import NO_ADDRESS, NOT_PERMITTED, Result, Status
from dispatcher.model.credentials import ClientCertificate
from dispatcher.sender.contract import CERTIFICATE_REFUSED, TOO_LARGE, Limits, Request
from dispatcher.sender.egress import PROXY_SLOW, proxy_fault
from dispatcher.sender.wire import (
    STATUS_LINE,
    TEXT_LIMIT,
    HttpTarget,
    Resolver,
    check_headers,
    parse_target,
    written_headers,
)
from dispatcher.settings import Proxy

_IDLE_S = 4
"""Receivers close idle connections after 5 s or more (Node, Apache 5, nginx 75). Letting go a little earlier avoids
the moment in which we send into a connection that is being closed."""

_STREAM_REFUSED = re.compile(rb"HTTP/2 stream \d+ refused by server")
"""libcurl reports a refused stream only in its log. Should its words change, no repetition is let out at all."""

_CERTIFICATE_REQUESTED = re.compile(rb".*TLS handshake, Request CERT")
"""Over TLS 1.3 a receiver that requires a client certificate breaks a connection off after the handshake."""

_PROXY_ASKED = re.compile(rb"Establish(ing)? HTTP proxy tunnel")
"""It is connected to, and may be waiting for the receiver."""

_LOG_LINES = 200
"""Kept of libcurl's log for one request; a handshake is some 30."""

_RECEIVED = frozenset({pycurl.INFOTYPE_HEADER_IN, pycurl.INFOTYPE_DATA_IN})
_TEXT, _TLS_IN = pycurl.INFOTYPE_TEXT, pycurl.INFOTYPE_SSL_DATA_IN
_RECORD_HEAD = 5
"""Bytes that begin each record of TLS; the last two are its length."""

_FAULTS: dict[int, tuple[Status, str]] = {
    pycurl.E_OPERATION_TIMEDOUT: (Status.TIMEOUT, "no complete response in time"),
    pycurl.E_COULDNT_RESOLVE_HOST: (Status.CONNECTION_FAILED, NO_ADDRESS),
    pycurl.E_COULDNT_CONNECT: (Status.CONNECTION_FAILED, "the connection was refused or not possible"),
    pycurl.E_GOT_NOTHING: (Status.CONNECTION_FAILED, "the receiver closed the connection without a response"),
    pycurl.E_ABORTED_BY_CALLBACK: (Status.CONNECTION_FAILED, "the receiver closed the connection without a response"),
    pycurl.E_SEND_ERROR: (Status.CONNECTION_FAILED, "the connection broke while sending"),
    pycurl.E_RECV_ERROR: (Status.CONNECTION_FAILED, "the connection broke before the response ended"),
    pycurl.E_PARTIAL_FILE: (Status.CONNECTION_FAILED, "the connection broke before the response ended"),
    pycurl.E_HTTP2: (Status.CONNECTION_FAILED, "the connection broke (HTTP/2)"),
    92: (Status.CONNECTION_FAILED, "the receiver reset the stream (HTTP/2)"),  # CURLE_HTTP2_STREAM, unnamed in pycurl
    pycurl.E_PEER_FAILED_VERIFICATION: (Status.SSL_ERROR, "the receiver's certificate is not valid"),
    pycurl.E_SSL_CONNECT_ERROR: (Status.SSL_ERROR, "the TLS handshake failed"),
    pycurl.E_SSL_ISSUER_ERROR: (Status.SSL_ERROR, "the receiver's certificate is not valid"),
    pycurl.E_SSL_INVALIDCERTSTATUS: (Status.SSL_ERROR, "the receiver's certificate is not valid"),
    pycurl.E_SSL_CERTPROBLEM: (Status.SSL_ERROR, "the receiver requires a client certificate"),
    98: (Status.SSL_ERROR, "the receiver requires a client certificate"),  # CURLE_SSL_CLIENTCERT
    pycurl.E_SSL_CIPHER: (Status.SSL_ERROR, "no common cipher"),
    pycurl.E_USE_SSL_FAILED: (Status.SSL_ERROR, "the TLS handshake failed"),
    pycurl.E_SSL_SHUTDOWN_FAILED: (Status.SSL_ERROR, "the TLS connection was not ended properly"),
    pycurl.E_SSL_CACERT_BADFILE: (Status.SSL_ERROR, "our file of certificates cannot be read"),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: (Status.UNKNOWN_ERROR, "the response is not HTTP"),  # not only FTP's
    pycurl.E_UNSUPPORTED_PROTOCOL: (Status.UNKNOWN_ERROR, "the response is not HTTP"),  # HTTP/0.9
    pycurl.E_BAD_CONTENT_ENCODING: (Status.UNKNOWN_ERROR, "the response is not HTTP"),  # a coding nobody asked for
    pycurl.E_FILESIZE_EXCEEDED: (Status.UNKNOWN_ERROR, TOO_LARGE),  # ours alone: libcurl has no limit to exceed
    100: (Status.UNKNOWN_ERROR, "the response's headers are too large"),  # CURLE_TOO_LARGE
}
"""libcurl's codes → ours. Its own texts are not passed on: they may hold addresses."""
_BROKEN = frozenset({pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR, pycurl.E_SSL_CONNECT_ERROR})
_CERTIFICATE_FAULTS = frozenset({pycurl.E_SSL_CERTPROBLEM, 98})


class _CurlSocket(socket.socket):
    """A socket for libcurl, which takes a duplicate and drops this one: closed then, without Python's warning."""

    def __del__(self) -> None:
        descriptor = self.detach()
        if descriptor >= 0:  # it is not where the constructor failed
            os.close(descriptor)


class Exchange:
    """One handle and what it is at.

    `permits` is asked about each address; `ca_file` holds the trusted certificates. A handle whose response passes
    `Limits.receive_limit` is put into `oversized`: libcurl lets nobody end a transfer from where that is noticed.
    """

    def __init__(
        self, limits: Limits, permits: Callable[[str], bool], ca_file: str, oversized: list[pycurl.Curl]
    ) -> None:
        self.curl = pycurl.Curl()
        self._limits = limits
        self._permits = permits
        self._oversized = oversized
        self._tag = 0
        self._target: HttpTarget | None = None
        self._method = "POST"
        self._certificate: ClientCertificate | None = None
        self._body_limit = limits.body_limit
        self.started_s = 0.0
        self.timeout_s = limits.timeout_s
        self.stalled_before_s = 0.0  # the sender's, when this began
        self._body = bytearray()
        self._head: list[bytes] = []
        self._keeps_headers = False
        self.received = 0  # bytes of heads and bodies, by all requests of this handle
        self.records = 0  # bytes of TLS in which these came, and all that is not for us to see
        self.baseline: tuple[int, int, int] | None = None  # the sender's: how far these were when it began to look
        self._receive_until = 0
        self._post_count = 0
        self._log: deque[bytes] = deque(maxlen=_LOG_LINES)
        self._is_verbose = False
        self._is_blocked = self._is_exhausted = self._is_full = False
        self._address: str | None = None
        self._proxy = limits.egress.proxy
        self._set_constant_options(ca_file)
        if self._proxy is not None:
            self._set_proxy(self._proxy)

    def _set_constant_options(self, ca_file: str) -> None:
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
            pycurl.OPENSOCKETFUNCTION: self._open_socket,
            pycurl.PREREQFUNCTION: self._on_request,
            pycurl.WRITEFUNCTION: self._on_body,
            pycurl.HEADERFUNCTION: self._head.append,  # a function in C: no Python for each header
            pycurl.DEBUGFUNCTION: self._on_debug,
        }.items():
            self.curl.setopt(option, value)
        self.curl.unsetopt(pycurl.CAPATH)  # certifi's and no others, wherever this libcurl was built

    def _set_proxy(self, proxy: Proxy) -> None:
        host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
        self.curl.setopt(pycurl.PROXY, f"http://{host}:{proxy.port}")
        self.curl.setopt(pycurl.NOPROXY, "")
        self.curl.setopt(pycurl.HTTPPROXYTUNNEL, 1)
        if proxy.username:
            self.curl.setopt(pycurl.PROXYUSERNAME, proxy.username)
            self.curl.setopt(pycurl.PROXYPASSWORD, proxy.password)

    def prepare(self, request: Request, resolver: Resolver | None) -> None:
        """Sets up `request`. Raises Unsendable, or pycurl.error for what libcurl does not take."""
        self._tag, self.started_s, self._post_count, self.baseline = request.tag, monotonic(), 0, None
        self._receive_until = self.received + self._limits.receive_limit
        self._is_blocked = self._is_exhausted = self._is_full = False
        self._keeps_headers = request.keeps_headers
        self.timeout_s, self._body_limit = self._limits.timeout_of(request), self._limits.body_limit_of(request)
        target = parse_target(request.url)
        check_headers(request.headers)
        if target is not self._target:  # the same webhook's next delivery, more often than not
            self.curl.setopt(pycurl.URL, target.url)
            self.curl.setopt(pycurl.REQUEST_TARGET, target.path)
            self._target = target
        if request.certificate is not self._certificate:
            self._show(request.certificate)
        if request.address != self._address:
            self._ask_for(request.address)
        self.set_verbose(target.is_tls or self._proxy is not None)
        if request.method != self._method:
            self.curl.setopt(pycurl.CUSTOMREQUEST, request.method)
            self._method = request.method
        self.curl.setopt(pycurl.POSTFIELDS, request.body)
        self.curl.setopt(pycurl.HTTPHEADER, _header_lines(request))
        if resolver is not None:
            addresses = ",".join(f"[{address}]" if ":" in address else address for address in resolver(target.host))
            self.curl.setopt(pycurl.RESOLVE, [f"{target.host}:{target.port}:{addresses}"])

    def _ask_for(self, address: str | None) -> None:
        """What the proxy is asked to connect to, where that is not the URL's host."""
        if address is None:
            self.curl.unsetopt(pycurl.CONNECT_TO)
        else:
            self.curl.setopt(pycurl.CONNECT_TO, [f"::[{address}]:" if ":" in address else f"::{address}:"])
        self._address = address

    def _show(self, certificate: ClientCertificate | None) -> None:
        """What TLS shows. libcurl uses a connection again only for the same certificate, or for none."""
        if certificate is None:
            self.curl.unsetopt(pycurl.SSLCERT_BLOB)
            self.curl.unsetopt(pycurl.SSLKEY_BLOB)
        else:
            self.curl.setopt(pycurl.SSLCERT_BLOB, certificate.certificate.encode())
            self.curl.setopt(pycurl.SSLKEY_BLOB, certificate.private_key.encode())
        self._certificate = certificate

    def set_verbose(self, on: bool = True) -> None:
        """Has libcurl log what it does and receives, which costs a sixth more for a request over plain HTTP."""
        if self._is_verbose is not on:
            self.curl.setopt(pycurl.VERBOSE, on)
            self._is_verbose = on

    def outcome(self, code: int | None) -> Result:
        """The result, given libcurl's `code` (None: all went well). A body that was cut is a response too."""
        if code is None or self._is_full:
            return self._response()
        if self._is_exhausted:
            return self.result(Status.UNKNOWN_ERROR, "no socket can be opened on our side")
        if self._is_blocked and not self.curl.getinfo(pycurl.CONNECT_TIME):
            return self.result(Status.BLOCKED_ADDRESS, NOT_PERMITTED)
        if self._proxy is not None and not self._post_count:
            answered = self.curl.getinfo(pycurl.HTTP_CONNECTCODE)
            if not 200 <= answered <= 299:
                is_slow = code == pycurl.E_OPERATION_TIMEDOUT and any(map(_PROXY_ASKED.match, self._log))
                return self.result(*((Status.TIMEOUT, PROXY_SLOW) if is_slow else proxy_fault(answered)))
        if code in _BROKEN and any(map(_CERTIFICATE_REQUESTED.match, self._log)):
            code = pycurl.E_SSL_CERTPROBLEM
        if code in _CERTIFICATE_FAULTS and self._certificate is not None:
            return self.result(Status.SSL_ERROR, CERTIFICATE_REFUSED)
        return self.result(*_FAULTS.get(code, (Status.UNKNOWN_ERROR, f"libcurl error {code}")))

    def reset(self) -> None:
        """Drops what came, once it is in a result: some hundred idle handles would keep as many bodies."""
        self._body.clear()
        self._head.clear()
        self._log.clear()

    def result(self, status: str, reason: str) -> Result:
        """A result without a response."""
        return Result(tag=self._tag, status=status, reason=reason, started_s=self.started_s, finished_s=monotonic())

    def close(self) -> None:
        """Frees the handle."""
        self.curl.close()

    def _response(self) -> Result:
        fault, content_type, retry_after = _parse_head(self._head)
        if fault is not None:
            return self.result(*_FAULTS[fault])
        status = str(self.curl.getinfo(pycurl.RESPONSE_CODE))
        return Result(
            tag=self._tag,
            status=status,
            headers=written_headers(_final_head(self._head)) if self._keeps_headers or status[0] != "2" else None,
            content_type=content_type,
            retry_after=retry_after,
            body=bytes(self._body),
            started_s=self.started_s,
            finished_s=monotonic(),
        )

    def _on_debug(self, kind: int, text: bytes) -> None:
        """Takes what libcurl says of its doings, and counts what it receives.

        That is the body as it came: an extension of a chunk is neither shown to `_on_body` nor counted elsewhere.
        """
        if kind in _RECEIVED:
            self.received += len(text)
            if self.received > self._receive_until:
                self._oversized.append(self.curl)
        elif kind == _TEXT:
            self._log.append(text)
        elif kind == _TLS_IN and len(text) == _RECORD_HEAD:
            self.records += text[3] << 8 | text[4]

    def _open_socket(self, _purpose: int, address: tuple[int, int, int, tuple[object, ...]]) -> socket.socket | int:
        """A socket to connect to `address`. After a refusal libcurl goes on with the host's next address."""
        family, kind, protocol, sockaddr = address
        is_permitted = self._proxy is not None or self._permits(str(sockaddr[0]))  # the operator has named the proxy
        if family not in (socket.AF_INET, socket.AF_INET6) or not is_permitted:
            self._is_blocked = True
            return pycurl.SOCKET_BAD
        egress, source = self._limits.egress, None
        if egress.addresses:
            source = egress.source(is_v6=family == socket.AF_INET6)
            if source is None:  # then by the host's next address
                return pycurl.SOCKET_BAD
        try:
            opened = _CurlSocket(family, kind, protocol)
            if source is not None:
                opened.bind((source, 0))
            return opened
        except OSError:
            self._is_exhausted = True
            return pycurl.SOCKET_BAD

    def _on_request(self, *_addresses: object) -> int:
        """Lets one request out and no second.

        libcurl repeats a request of its own accord where a kept connection ends without a response. The receiver may
        have acted on the first by then, and no attempt would be recorded for the second. But a stream that an HTTP/2
        receiver refused was not processed (RFC 9113, 8.7): every nginx refuses some when it renews a connection.
        """
        if self._post_count and self._post_count > sum(map(bool, map(_STREAM_REFUSED.match, self._log))):
            return pycurl.PREREQFUNC_ABORT
        self._post_count += 1
        return pycurl.PREREQFUNC_OK

    def _on_body(self, data: bytes) -> int | None:
        room = self._body_limit - len(self._body)
        if len(data) <= room:
            self._body += data
            return None
        self._body += data[:room]
        self._is_full = True
        return 0  # anything but None or the length ends the transfer


def _header_lines(request: Request) -> list[str]:
    """The headers as libcurl wants them: a semicolon stands for an empty value, an empty value for "leave it out"."""
    lines = [f"{name}: {value}" if value.strip() else f"{name};" for name, value in request.headers]
    if not any(name.lower() == "content-type" for name, _ in request.headers):
        lines.append("Content-Type:")  # libcurl would call the body a form
    lines.append("Expect:")  # nor ask first whether a large body is welcome: that costs a second with many receivers
    return lines


def _parse_head(lines: list[bytes]) -> tuple[int | None, str | None, str | None]:
    """Content-Type and Retry-After of the final head: 1xx heads come before it, trailers after its empty line.

    Before them libcurl's code for what libcurl itself lets pass: a status line that is none, and a head without an end.
    """
    content_type = retry_after = None
    has_status = is_complete = False
    for line in lines:
        if (is_complete or not has_status) and line.startswith(b"HTTP/"):
            if not STATUS_LINE.match(line):
                has_status = False
                break
            content_type = retry_after = None
            has_status, is_complete = True, False
        elif line == b"\r\n" or line == b"\n":
            is_complete = True
        elif not is_complete:
            name, _, value = line.partition(b":")
            match name.lower():
                case b"content-type":
                    content_type = value
                case b"retry-after":
                    retry_after = value
    fault = pycurl.E_FTP_WEIRD_SERVER_REPLY if not has_status else pycurl.E_PARTIAL_FILE if not is_complete else None
    return fault, _text(content_type), _text(retry_after)


def _final_head(lines: list[bytes]) -> list[tuple[str, str]]:
    """Name and value of each header of the final head, which is complete (`_parse_head`)."""
    fields: list[tuple[str, str]] = []
    is_complete = False
    for line in lines:
        if is_complete and line.startswith(b"HTTP/"):
            fields, is_complete = [], False
        elif line == b"\r\n" or line == b"\n":
            is_complete = True
        elif not is_complete and b":" in line:
            name, _, value = line.partition(b":")
            fields.append((name.strip().decode("latin-1"), value.strip().decode("latin-1")))
    return fields


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.strip().decode("latin-1")[:TEXT_LIMIT]
