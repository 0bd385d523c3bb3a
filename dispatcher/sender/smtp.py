"""The way to the operators' mail server: one connection for several messages, and errors in words for people.

The server is the operators' own, so its address is not checked.
"""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage

import certifi

from dispatcher.settings import Settings

TIMEOUT_S = 10.0
"""For each step of the exchange."""


class MailFailed(Exception):
    """The server cannot be reached, or does not take the message."""


class MailRefused(MailFailed):
    """It refuses this message; it may take others."""


class Mailer:
    """A connection. A refused message leaves it usable; after any other failure nothing more is to be sent."""

    def __init__(self, server: smtplib.SMTP, sender: str) -> None:
        self._server = server
        self._sender = sender

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Hands one message over; raises MailRefused or MailFailed."""
        try:
            self._server.send_message(message, self._sender, [recipient])
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            raise MailRefused(_said(code, text)) from None
        except smtplib.SMTPResponseException as error:
            raise MailRefused(_said(error.smtp_code, error.smtp_error)) from None
        except (smtplib.SMTPException, OSError) as error:
            raise MailFailed(f"the mail server failed: {type(error).__name__}") from None


@contextmanager
def connect(settings: Settings) -> Iterator[Mailer]:
    """A connection to the server of the settings, signed in; raises MailFailed."""
    if not settings.smtp_host:
        raise MailFailed("DISPATCHER_SMTP_HOST is not set")
    try:
        server = _connected(settings)
    except smtplib.SMTPResponseException as error:
        raise MailFailed(_said(error.smtp_code, error.smtp_error)) from None
    except (smtplib.SMTPException, OSError) as error:
        raise MailFailed(f"the mail server cannot be used: {type(error).__name__}") from None
    try:
        yield Mailer(server, settings.smtp_from)
    finally:
        server.close()


def _connected(settings: Settings) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()  # a company's own authority
    host, port = settings.smtp_host, settings.smtp_port
    if settings.smtp_tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    try:
        if settings.smtp_tls == "starttls":
            server.starttls(context=context)
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password)
    except BaseException:
        server.close()
        raise
    return server


def _said(code: int, text: bytes | str) -> str:
    """What the server answered, on one line and not for long."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    plain = "".join(character if character.isprintable() else " " for character in words)  # Postgres keeps no NUL
    return f"the mail server answered {code} {' '.join(plain.split())}"[:200]
