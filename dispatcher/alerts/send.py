"""Messages to channels: e-mails over one connection, the others over HTTP, all at once, and through the guard."""

import logging
from collections.abc import Iterator, Mapping, Sequence

from dispatcher import clock, log
from dispatcher.alerts import texts
from dispatcher.model.alert import Alert, AlertChannel, ChannelType
from dispatcher.model.attempt import Result, for_clients, is_success
from dispatcher.pipeline.fault import log_fault
from dispatcher.sender.contract import Request
from dispatcher.sender.pool import SenderPool
from dispatcher.sender.smtp import Mailer, MailFailed, MailRefused, connect
from dispatcher.settings import Settings
from dispatcher.signatures import sign
from dispatcher.storage.secrets import signing_key

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
"""For one POST."""
MAIL_FAILED = "the mail server cannot be used at the moment"
"""What people of an account see of the operators' mail server."""

Messages = Mapping[int, tuple[AlertChannel, Sequence[Alert]]]
"""Channel's id → the channel and its alerts; none, for a test."""


def send(messages: Messages, senders: SenderPool, settings: Settings) -> Iterator[tuple[int, str | None]]:
    """Sends them; yields each channel's id, as soon as it is known, with why its message was not taken (None: it was).

    Raises nothing for a receiver's or a server's fault.
    """
    mails = {id_: one for id_, one in messages.items() if one[0].type is ChannelType.EMAIL}
    yield from _post({id_: one for id_, one in messages.items() if id_ not in mails}, senders, settings)
    if mails:
        yield from _mail(mails, settings)


def _mail(messages: Messages, settings: Settings) -> Iterator[tuple[int, str | None]]:
    """Where no connection comes about, the server is not asked for the others: each would wait for it as long.

    A message at which it ends the connection costs the others a new one.
    """
    left = dict(messages)
    while left:
        try:
            with connect(settings) as mailer:
                for number, (id_, (channel, alerts)) in enumerate([*left.items()]):
                    try:
                        error = _mailed(mailer, channel, alerts, settings)
                    except MailFailed as failed:
                        if number:  # one before it may have had the connection ended
                            break
                        logger.warning(log.line("alerts.mail_failed", messages=1, reason=repr(str(failed))))
                        error = _said_of_mail(channel, failed)
                    del left[id_]
                    yield id_, error
        except MailFailed as failed:
            logger.warning(log.line("alerts.mail_failed", messages=len(left), reason=repr(str(failed))))
            for id_, (channel, _) in left.items():
                yield id_, _said_of_mail(channel, failed)
            return


def _mailed(mailer: Mailer, channel: AlertChannel, alerts: Sequence[Alert], settings: Settings) -> str | None:
    """Why this message was not taken, None: it was; raises MailFailed where the connection is of no use any more."""
    try:
        mailer.send(texts.email(channel, alerts, _console(settings), settings.smtp_from, clock.now()), channel.target)
    except MailRefused as refused:
        return str(refused)
    except MailFailed:
        raise
    except Exception as fault:  # any: the others are sent theirs
        return _unsendable(channel, fault)
    return None


def _said_of_mail(channel: AlertChannel, failed: MailFailed) -> str:
    """An account's owner learns nothing of the operators' mail server."""
    return str(failed) if channel.account_id is None else MAIL_FAILED


def _post(messages: Messages, senders: SenderPool, settings: Settings) -> Iterator[tuple[int, str | None]]:
    if not messages:
        return
    sender = senders.borrow()
    try:
        for id_, (channel, alerts) in messages.items():
            try:
                sender.start(_request(id_, channel, alerts, settings))
            except Exception as fault:  # no descriptor is free, for one; the others are sent theirs
                yield id_, _unsendable(channel, fault)
        while sender.in_flight:
            for result in sender.results(1.0):  # their own limits end the wait
                yield result.tag, None if is_success(result.status) else _reason(result, messages[result.tag][0])
    finally:
        senders.give_back(sender)


def _reason(result: Result, channel: AlertChannel) -> str:
    """An account's owner sees no more of it than of an attempt."""
    of_operators = channel.account_id is None
    status, reason = (result.status, result.reason) if of_operators else for_clients(result.status, result.reason)
    return reason or status


def _unsendable(channel: AlertChannel, fault: Exception) -> str:
    log_fault("alerts.unsendable", fault, channel_id=channel.id)
    return f"the message cannot be sent: {type(fault).__name__}"


def _request(id_: int, channel: AlertChannel, alerts: Sequence[Alert], settings: Settings) -> Request:
    headers = [("Content-Type", "application/json"), ("User-Agent", settings.user_agent)]
    if channel.type is ChannelType.SLACK:
        body = texts.slack(alerts, _console(settings))
    else:
        now = clock.now()
        body, timestamp = texts.webhook(alerts, _console(settings), now), str(int(now.timestamp()))
        message_id = texts.message_id(channel.id, alerts, now)
        signature = sign([signing_key(channel.signing_secret or "")], message_id, timestamp, body)
        headers += [
            ("webhook-id", message_id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ]
    return Request(tag=id_, url=channel.target, headers=headers, body=body, timeout_s=TIMEOUT_S)


def _console(settings: Settings) -> str:
    return settings.public_url.rstrip("/")
