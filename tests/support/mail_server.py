"""A real SMTP server: what a test sends e-mails to. It keeps every message, and may refuse, hang up, or speak TLS.

with MailServer() as server:
    ...                                     # send to 127.0.0.1:server.port
    (message,) = server.messages            # parsed, with the envelope's recipients in `server.recipients`
"""

import email
import email.policy
import socket
import ssl
import threading
from contextlib import suppress
from email.message import EmailMessage
from io import BufferedIOBase
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, Self, cast


class MailServer(ThreadingTCPServer):
    """`refusal`: what is answered to each recipient; `hangs_up`: at once; `tls`: STARTTLS is offered."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.tls = tls
        self.messages: list[EmailMessage] = []
        self.forget()

    def forget(self) -> None:
        """As new, for the next test."""
        self.refusal = ""
        self.hangs_up = False
        self.connections = 0
        self.messages = []
        self.recipients: list[str] = []
        self.logins: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Session(StreamRequestHandler):
    def handle(self) -> None:
        server = cast(MailServer, self.server)
        server.connections += 1
        if server.hangs_up:
            return
        self.say("220 ready")
        recipients: list[str] = []
        while line := self.line():
            match line.decode().strip().split(" ", 1):
                case ["ehlo" | "EHLO", _]:
                    self.say("250-hello", "250-AUTH PLAIN", *(["250-STARTTLS"] if server.tls else []), "250 8BITMIME")
                case ["STARTTLS"] if server.tls:
                    self.say("220 go")
                    self.encrypt(server.tls)
                case ["AUTH", words]:
                    server.logins.append(words)
                    self.say("235 ok")
                case ["rcpt" | "RCPT", who]:
                    recipients.append(who)
                    self.say(server.refusal or "250 ok")
                case ["data" | "DATA"]:
                    self.say("354 go")
                    text = b"".join(iter(self.rfile.readline, b".\r\n"))
                    parsed = email.message_from_bytes(text, policy=email.policy.default)
                    server.recipients += recipients
                    server.messages.append(parsed)
                    recipients = []
                    self.say("250 taken")
                case ["quit" | "QUIT"]:
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 ok")

    def line(self) -> bytes:
        try:
            return self.rfile.readline()
        except OSError:
            return b""

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
        self.wfile.flush()

    def encrypt(self, context: ssl.SSLContext) -> None:
        self.connection.settimeout(5)
        secure = context.wrap_socket(self.connection, server_side=True, do_handshake_on_connect=False)
        self.request = self.connection = secure
        self.rfile, self.wfile = secure.makefile("rb"), _Writer(secure)
        with suppress(ssl.SSLError):  # a client that does not trust it hangs up
            secure.do_handshake()

    def finish(self) -> None:
        super().finish()
        self.connection.close()


class _Writer(BufferedIOBase):
    """As socketserver's own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: Any) -> int:
        self._connection.sendall(data)
        return len(data)
