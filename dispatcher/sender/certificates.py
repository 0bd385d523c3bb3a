"""Client certificates for Python's TLS, which loads them from files: here from pipes, so that no key is on a disk."""

import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

PEM_LIMIT = 16_384
"""Bytes: what every system's pipe holds without a reader."""


def load_client_certificate(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    """Has `context` show the certificate, in PEM with its chain. Raises OSError where they cannot be used."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(_readable(text.encode())) for text in (certificate, private_key))
        context.load_cert_chain(first, second, password="")  # without one OpenSSL would ask a terminal


@contextmanager
def _readable(data: bytes) -> Iterator[str]:
    """A path from which `data` can be read once."""
    if len(data) > PEM_LIMIT:
        raise OSError("too long")
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
        os.close(writer)
        yield f"/dev/fd/{reader}"
    finally:
        os.close(reader)
