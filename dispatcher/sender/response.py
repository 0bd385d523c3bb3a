"""How the portable sender reads a response: http.client's way, with an end to all of it and without its guesses.

http.client takes what it cannot read for something else (a length of -1 for none), skips 1xx heads without end, and
bounds neither trailers nor the extensions of chunks. Not for connections or deadlines: those are `pinned`'s.
"""

import http
import http.client
import io
import re
from typing import Any

from dispatcher.model.attempt import Status
from dispatcher.sender.contract import TOO_LARGE
from dispatcher.sender.wire import STATUS_LINE

_LENGTH = re.compile(r"\s*(\d{1,19})\s*(?:,\s*\1\s*)*", re.ASCII)  # an equal one more is harmless


class Fault(Exception):
    """There is no response. Neither an OSError nor urllib3's, so that it passes through both libraries as it is."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class FinalResponse(http.client.HTTPResponse):
    """The response after all 1xx heads, read up to `receive_limit` bytes with them. Raises Fault beyond."""

    def __init__(self, receive_limit: int, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reader = _LimitedReader(self.fp.detach(), receive_limit)
        self.fp = self._pushback = _PushbackReader(self._reader)

    def begin(self) -> None:
        """Reads the head. Raises HTTPException where libcurl refuses it too."""
        self._pushback.first = self._final_status_line()
        super().begin()
        coding = self.headers.get("Transfer-Encoding", "identity").lower()
        lengths = ",".join(self.headers.get_all("Content-Length", ["0"]))
        values = "".join(self.headers.values())
        if coding not in ("chunked", "identity") or not _LENGTH.fullmatch(lengths) or "\0" in values:
            raise http.client.HTTPException
        if self.length == 0 and self.chunked:  # a 204 has no body, whatever it says
            self.chunked, self.will_close = False, True
        self._reader.may_end = not self.chunked  # a length is watched by urllib3

    def _final_status_line(self) -> bytes:
        """What comes after all 1xx heads, without its phrase."""
        while True:
            self._reader.may_end = True
            line = self._pushback.readline()
            if not line:
                raise http.client.RemoteDisconnected("")
            match = STATUS_LINE.match(line)
            if match is None or b"\0" in line:
                raise http.client.BadStatusLine("")  # without the line, which is the receiver's
            self._reader.may_end = False
            status = int(match[1])
            if not 100 <= status <= 199 or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return line[:8] + b" %d\r\n" % status
            while self._pushback.readline().rstrip(b"\r\n"):
                pass  # not parsed, as http.client does: thousands of them would cost seconds of CPU


class _PushbackReader(io.BufferedReader):
    """Gives `first`, where it is set, before the rest."""

    first = b""

    def readline(self, size: int | None = -1) -> bytes:
        line, self.first = self.first, b""
        return line or super().readline(size)


class _LimitedReader(io.RawIOBase):
    """What a socket's file gives, up to `remaining` bytes, and not its end unless it `may_end`."""

    def __init__(self, raw: io.RawIOBase, remaining: int) -> None:
        self._raw = raw
        self._remaining = remaining
        self.may_end = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # a writable buffer: typeshed has no public name for it
        """As of the socket's file. Raises Fault beyond the limit, ConnectionResetError at an end that is too early."""
        received = self._raw.readinto(buffer) or 0
        self._remaining -= received
        if self._remaining < 0:
            raise Fault(Status.UNKNOWN_ERROR, TOO_LARGE)
        if not received and not self.may_end:
            raise ConnectionResetError
        return received

    def close(self) -> None:
        """Closes the socket's file too."""
        self._raw.close()
        super().close()
