"""A real HTTP(S) server that follows a script: what a test points a webhook at.

    with Receiver() as receiver:
        receiver.script("/hook", Answer(status=503), Answer())      # first 503, then 200 for ever
        ...                                                         # send to receiver.url("/hook")
        (first, second) = receiver.wait_for(2)                      # what came, in order of arrival
        assert first.header("Idempotency-Key") == second.header("Idempotency-Key")

Paths without a script answer 200 `ok`. With `tls=Authority().tls()` it speaks HTTPS, with `http2=True` HTTP/2 to those
who ask for it (of an Answer then: status, headers, body, delay, hang-up, refusal); with a `greeting` it says just that
to every connection and hangs up. It runs in threads, one a connection: a few thousand requests a second are its end.
"""

import itertools
import socket
import ssl
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self, cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import trustme

_HEAD_LIMIT = 65_536
_BACKLOG = 4_096
"""Connections that wait to be accepted: the kernel breaks those for which it has no room."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer of a script. Spans are seconds; `reset` turns a hang-up into an RST."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b"ok"
    version: str = "HTTP/1.1"
    """With HTTP/1.0 there is no length and the end of the connection ends the body."""
    before: Sequence[bytes] = ()
    """Whole heads to send first, such as those of 100 and 103."""
    delay_s: float = 0.0
    """Until the head."""
    head_drip_s: float = 0.0
    """Between any two bytes of the head."""
    drip_s: float = 0.0
    """Between any two bytes of the body."""
    endless: bool = False
    """Repeats the body until the client has enough."""
    chunked: bool = False
    close: bool = False
    """Ends the connection after a whole answer, and says so."""
    hang_up: Literal["before_head", "after_head", "in_body"] | None = None
    reset: bool = False
    refuse: bool = False
    """Over HTTP/2: resets the stream and says that the request was not looked at."""
    raw: bytes | None = None
    """Sent instead of everything else, then the connection ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """One request as it came. `target` is path and query; `connection` numbers connections from 1."""

    method: str
    target: str
    version: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    connection: int
    received_s: float
    """When it was whole, by the monotonic clock."""
    in_flight: int = 0
    """Requests to its path that waited for their answers when it came, itself included; over HTTP/1."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def names(self) -> set[str]:
        """The names of all headers, in lower case."""
        return {name.lower() for name, _ in self.headers}


class Authority:
    """A certificate authority of the tests. Keys are P-256, so a certificate takes milliseconds."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def write_ca(self, folder: Path) -> str:
        """Writes the authority's own certificate into `folder`; returns its path, for a client's `ca_file`."""
        path = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(path))
        return str(path)

    def tls(
        self, kind: Literal["good", "expired", "wrong_name", "self_signed"] = "good", *, offers: Sequence[str] = ()
    ) -> ssl.SSLContext:
        """A server's context: for localhost, 127.0.0.1 and ::1, or flawed in one way. `offers` is for ALPN."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if kind == "self_signed":
            stranger = trustme.CA()
            with stranger.private_key_pem.tempfile() as key, stranger.cert_pem.tempfile() as certificate:
                context.load_cert_chain(certificate, key)
        else:
            names = ["elsewhere.test"] if kind == "wrong_name" else ["localhost", "127.0.0.1", "::1", "háček.test"]
            ended = datetime.now(UTC) - timedelta(days=1) if kind == "expired" else None
            began = ended - timedelta(days=9) if ended else None
            self._ca.issue_cert(*names, not_before=began, not_after=ended).configure_cert(context)
        if offers:
            context.set_alpn_protocols(list(offers))
        return context

    def asking(self, verify: ssl.VerifyMode = ssl.CERT_REQUIRED, *, offers: Sequence[str] = ()) -> ssl.SSLContext:
        """A good server's context, which asks its clients for certificates of this authority."""
        context = self.tls(offers=offers)
        context.verify_mode = verify
        self._ca.configure_trust(context)
        return context

    def client(self, name: str, *, not_after: datetime | None = None) -> tuple[str, str]:
        """A client's certificate for `name`, and its key, in PEM."""
        began = not_after and not_after - timedelta(days=9)
        issued = self._ca.issue_cert(name, not_before=began, not_after=not_after)
        return issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()


class Receiver:
    """The server; listens from construction on, `with` ends it and its threads. See the module for its use."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        http2: bool = False,
        greeting: bytes | None = None,
    ) -> None:
        self._tls = tls
        self._greeting = greeting
        if tls is not None and http2:
            tls.set_alpn_protocols(["h2", "http/1.1"])
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=_BACKLOG)
        self._host = f"[{host}]" if ":" in host else host
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        """Connections accepted so far, also those over which no request came."""
        self.clients: dict[int, str] = {}
        """Number of a connection → the name in the certificate that its client has shown."""
        self._requests: list[Received] = []
        self._scripts: dict[str, deque[Answer]] = {}
        self._in_flight: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="receiver", daemon=True)
        self._accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def url(self, path: str = "/", *, host: str | None = None) -> str:
        """The address of `path` here; `host` is another name for the same machine."""
        return f"{'https' if self._tls else 'http'}://{host or self._host}:{self.port}{path}"

    def script(self, path: str, *answers: Answer) -> str:
        """Answers to `path` in turn, the last one again and again. Returns the URL."""
        with self._changed:
            self._scripts[path] = deque(answers)
        return self.url(path)

    @property
    def requests(self) -> list[Received]:
        """What came so far, in order of arrival."""
        with self._changed:
            return list(self._requests)

    def wait_for(self, count: int, within_s: float = 10.0) -> list[Received]:
        """The requests so far, once there are `count`; an AssertionError says how many came in time."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._requests) >= count, within_s)
            assert came, f"{len(self._requests)} of {count} requests came within {within_s} s"
            return list(self._requests)

    def close(self) -> None:
        """Ends all connections and threads; whoever is being answered sees the connection break."""
        self._ending.set()
        _shut(self._listener)
        self._accepting.join()
        with self._changed:
            for connection in self._open:
                _shut(connection)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        for number in itertools.count(1):
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return  # closed
            with self._changed:
                self.connections = number
                self._open.add(plain)
            thread = threading.Thread(target=self._serve, args=(plain, number), name="receiver", daemon=True)
            self._threads = [*(old for old in self._threads if old.is_alive()), thread]
            thread.start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        line = plain
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._greeting is not None:
                plain.recv(_HEAD_LIMIT)
                plain.sendall(self._greeting)
                return
            if self._tls is not None:
                line = self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                with self._changed:  # before the handshake, so that close() can end a client that is silent in it
                    self._open.discard(plain)
                    self._open.add(line)
                line.do_handshake()
                shown = line.getpeercert()
                if shown:
                    self.clients[number] = str(shown["subjectAltName"][0][1])
            if isinstance(line, ssl.SSLSocket) and line.selected_alpn_protocol() == "h2":
                self._speak_http2(line, number)
            else:
                self._speak_http1(line, number)
        except (OSError, ValueError, EOFError):
            pass  # the client left, or speaks something else: tests provoke both
        finally:
            with self._changed:
                self._open -= {plain, line}
            line.close()
            plain.close()

    def _speak_http1(self, line: socket.socket, number: int) -> None:
        with line.makefile("rb") as source:
            while not self._ending.is_set():
                request = _read_request(cast(BinaryIO, source), number)
                answer = self._take(request)
                self._ending.wait(answer.delay_s)
                with self._changed:
                    self._in_flight[request.path] -= 1
                if not self._answer(line, answer):
                    return

    def _take(self, request: Received) -> Answer:
        """Notes `request`; returns the answer that its path's script has for it."""
        with self._changed:
            self._in_flight[request.path] += 1
            self._requests.append(replace(request, in_flight=self._in_flight[request.path]))
            self._changed.notify_all()
            script = self._scripts.get(request.path)
            if not script:
                return Answer()
            return script.popleft() if len(script) > 1 else script[0]

    def _answer(self, line: socket.socket, answer: Answer) -> bool:
        """Whether the connection goes on."""
        if answer.hang_up == "before_head":
            return self._hang_up(line, answer)
        if answer.raw is not None:
            line.sendall(answer.raw)
            return False
        for head in answer.before:
            line.sendall(head)
        self._drip(line, _head(answer), answer.head_drip_s)
        if answer.hang_up == "after_head":
            return self._hang_up(line, answer)
        self._send_body(line, answer)
        if answer.hang_up == "in_body":
            return self._hang_up(line, answer)
        return not (answer.close or answer.version == "HTTP/1.0")

    def _send_body(self, line: socket.socket, answer: Answer) -> None:
        body = answer.body[: len(answer.body) // 2] if answer.hang_up == "in_body" else answer.body
        while answer.endless and not self._ending.is_set():
            self._drip(line, _chunk(body), answer.drip_s)
        if answer.chunked:
            for place in range(0, len(body), 1_000):
                self._drip(line, _chunk(body[place : place + 1_000]), answer.drip_s)
            if answer.hang_up is None:
                line.sendall(b"0\r\n\r\n")
        else:
            self._drip(line, body, answer.drip_s)

    def _drip(self, line: socket.socket, data: bytes, pause_s: float) -> None:
        if not pause_s:
            line.sendall(data)
            return
        for place in range(len(data)):
            line.sendall(data[place : place + 1])
            if self._ending.wait(pause_s):
                return

    def _hang_up(self, line: socket.socket, answer: Answer) -> bool:
        if answer.reset:  # with a linger of zero seconds close() sends RST
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def _speak_http2(self, line: ssl.SSLSocket, number: int) -> None:
        talk = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        talk.initiate_connection()
        line.sendall(talk.data_to_send())
        streams: dict[int, _Stream] = {}
        while data := line.recv(65_536):
            for event in talk.receive_data(data):
                self._on_http2(talk, event, streams, number)
            line.sendall(talk.data_to_send())

    def _on_http2(
        self, talk: h2.connection.H2Connection, event: h2.events.Event, streams: "dict[int, _Stream]", number: int
    ) -> None:
        if isinstance(event, h2.events.RequestReceived):
            streams[event.stream_id] = _Stream(headers=[(str(name), str(value)) for name, value in event.headers])
        elif isinstance(event, h2.events.DataReceived):
            streams[event.stream_id].body += event.data
            talk.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer = self._take(streams.pop(event.stream_id).received(number))
            self._ending.wait(answer.delay_s)
            if answer.hang_up:
                raise EOFError
            if answer.refuse:
                talk.reset_stream(event.stream_id, error_code=h2.errors.ErrorCodes.REFUSED_STREAM)
                return
            talk.send_headers(event.stream_id, [(":status", str(answer.status)), *_lower(answer.headers)])
            talk.send_data(event.stream_id, answer.body, end_stream=True)


@dataclass(kw_only=True, slots=True)
class _Stream:
    """A request over HTTP/2 that is still coming in."""

    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)

    def received(self, number: int) -> Received:
        said = dict(self.headers)
        return Received(
            method=said[":method"],
            target=said[":path"],
            version="HTTP/2",
            headers=[(name, value) for name, value in self.headers if not name.startswith(":")],
            body=bytes(self.body),
            connection=number,
            received_s=time.monotonic(),
        )


def _read_request(source: BinaryIO, number: int) -> Received:
    """The next request of a connection. Raises EOFError where there is none, ValueError where it is no HTTP."""
    first = source.readline(_HEAD_LIMIT).decode("latin-1")
    if not first:
        raise EOFError
    method, target, version = first.split()
    headers = []
    while line := source.readline(_HEAD_LIMIT).decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    said = {name.lower(): value for name, value in headers}
    length = int(said.get("content-length", "0"))
    body = source.read(length)
    if len(body) < length:
        raise EOFError
    return Received(
        method=method,
        target=target,
        version=version,
        headers=headers,
        body=body,
        connection=number,
        received_s=time.monotonic(),
    )


def _head(answer: Answer) -> bytes:
    lines = [f"{answer.version} {answer.status} Scripted"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.chunked or answer.endless:
        lines.append("Transfer-Encoding: chunked")
    elif answer.version != "HTTP/1.0" and answer.status != 204:
        lines.append(f"Content-Length: {len(answer.body)}")
    if answer.close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _lower(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """HTTP/2 knows no capitals in names."""
    return [(name.lower(), value) for name, value in headers]


def _shut(line: socket.socket) -> None:
    """Wakes whoever reads from `line`. By socket's own method: an SSLSocket's drops its TLS under the reader."""
    try:
        socket.socket.shutdown(line, socket.SHUT_RDWR)
    except OSError:
        return  # not connected any more
