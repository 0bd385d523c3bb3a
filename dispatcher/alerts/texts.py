"""What a message says: as an e-mail, for Slack, and as JSON for programs. No payload and no secret is in it."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from typing import Any

from dispatcher.model.alert import Alert, AlertChannel, AlertKind

LISTED = 50
"""Alerts that a message lists; it says how many more there are."""

_TITLES = {
    AlertKind.DISABLED: ("webhook was disabled", "webhooks were disabled"),
    AlertKind.FAILING: ("webhook is failing", "webhooks are failing"),
    AlertKind.QUOTA_REACHED: ("quota was reached", "quotas were reached"),
    AlertKind.BACKLOG: ("backlog is overdue", "backlogs are overdue"),
    AlertKind.OUTBOX: ("outbox is down", "outboxes are down"),
    AlertKind.RECOVERED: ("recovered", "recovered"),
}
"""In the order in which they are listed."""
_QUOTAS = {
    "default": "requests per minute",
    "emits": "emits per minute",
    "account_emits": "emits per minute",
}


def message_id(channel_id: int, alerts: Sequence[Alert], now: datetime) -> str:
    """The same for the same news, by which receivers know a message that came twice; each test has another."""
    news = sorted((one.subject, str(one.kind), one.since.isoformat()) for one in alerts) or now.isoformat()
    return "alert_" + hashlib.sha256(json.dumps([channel_id, news]).encode()).hexdigest()[:32]


def subject(alerts: Sequence[Alert]) -> str:
    """The message in a line: `3 webhooks are failing, 1 recovered`."""
    parts = [_title(kind, count) for kind, count in _counts(alerts)]
    return ", ".join(parts) if parts else "This is a test: alerts of this channel arrive here"


def email(channel: AlertChannel, alerts: Sequence[Alert], public_url: str, sender: str, now: datetime) -> EmailMessage:
    """Text and simple HTML. A line break in a header is refused by EmailMessage itself."""
    message = EmailMessage()
    message["Subject"] = f"[Dispatcher] {subject(alerts)}"
    message["From"] = Address("Dispatcher", *_parts(sender))
    message["To"] = Address("", *_parts(channel.target))
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{message_id(channel.id, alerts, now)}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # so that no absence notice answers
    footer = f"You get this because of the alert channel {channel.name!r} of the dispatcher."
    lines = [f"{text}\n  {link}" if link else text for text, link in _lines(alerts, public_url)]
    message.set_content("\n".join([subject(alerts) + ".", "", *lines, "", footer, ""]))
    items = "".join(
        f"<li>{escape(text)}{f' <a href={chr(34)}{escape(link)}{chr(34)}>Open</a>' if link else ''}</li>"
        for text, link in _lines(alerts, public_url)
    )
    message.add_alternative(
        f"<p><strong>{escape(subject(alerts))}.</strong></p><ul>{items}</ul><p>{escape(footer)}</p>", subtype="html"
    )
    return message


def _parts(address: str) -> tuple[str, str]:
    """What is before the @, with dots wherever HTML allows them, and the host."""
    name, _, host = address.rpartition("@")
    return name, host


def slack(alerts: Sequence[Alert], public_url: str) -> bytes:
    """The body for an incoming webhook. `&`, `<` and `>` are Slack's own, so that no name can mention a channel."""
    lines = [f"• {_slack(text)}" + (f" <{link}|Open>" if link else "") for text, link in _lines(alerts, public_url)]
    return _json({"text": "\n".join([f"*{_slack(subject(alerts))}*", *lines])})


def webhook(alerts: Sequence[Alert], public_url: str, now: datetime) -> bytes:
    """The body for a program, in the form of Standard Webhooks."""
    listed = [
        {
            "kind": str(one.kind),
            "subject": one.subject,
            "since": one.since.isoformat(),
            "account": one.account,
            "webhook_id": one.webhook_id,
            "label": one.label,
            "detail": one.detail,
            "url": _link(one, public_url),
        }
        for one in _sorted(alerts)[:LISTED]
    ]
    data = {"summary": subject(alerts), "count": len(alerts), "alerts": listed}
    return _json({"type": "alerts" if alerts else "alerts.test", "timestamp": now.isoformat(), "data": data})


def _counts(alerts: Sequence[Alert]) -> Iterator[tuple[AlertKind, int]]:
    for kind in _TITLES:
        if count := sum(one.kind is kind for one in alerts):
            yield kind, count


def _title(kind: AlertKind, count: int) -> str:
    return f"{count:,} {_TITLES[kind][count > 1]}"


def _sorted(alerts: Sequence[Alert]) -> list[Alert]:
    order = [*_TITLES]
    return sorted(alerts, key=lambda one: (order.index(one.kind), one.since, one.subject))


def _lines(alerts: Sequence[Alert], public_url: str) -> Iterator[tuple[str, str | None]]:
    for one in _sorted(alerts)[:LISTED]:
        yield _sentence(one), _link(one, public_url)
    if len(alerts) > LISTED:
        yield f"and {len(alerts) - LISTED:,} more", (public_url and f"{public_url}/console") or None


def _sentence(alert: Alert) -> str:
    since = f"since {alert.since:%Y-%m-%d %H:%M} UTC"
    what = f"Webhook {alert.webhook_id} ({alert.label})" if alert.webhook_id is not None else alert.label
    match alert.kind:
        case AlertKind.FAILING:
            text = f"{what} has failed {since}"
        case AlertKind.DISABLED:
            text = f"{what} was disabled at {alert.since:%Y-%m-%d %H:%M} UTC: {alert.detail or 'no reason was kept'}"
        case AlertKind.RECOVERED:
            text = f"{what} has recovered; it was down {since}"
        case AlertKind.QUOTA_REACHED:
            text = f"Quota of {_QUOTAS.get(alert.detail or '', 'requests')} reached by {what}, {since}"
        case _:
            text = f"{what}: {alert.detail}, {since}"
    return " ".join(f"{text}{f' [account {alert.account}]' if alert.account else ''}".split())


def _link(alert: Alert, public_url: str) -> str | None:
    if not public_url:
        return None
    if alert.account is None:
        return f"{public_url}/console"
    page = "" if alert.webhook_id is None else f"webhooks/{alert.webhook_id}"
    return f"{public_url}/console/accounts/{alert.account}/{page}"


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
