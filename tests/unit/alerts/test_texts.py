"""What messages say, whatever names and addresses are in them."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.alerts.channels import checked_attributes
from dispatcher.alerts.texts import email, message_id, slack, subject, webhook
from dispatcher.errors import InvalidAlertChannel
from dispatcher.model.alert import Alert, AlertChannel, AlertKind, ChannelType
from tests.support.builders import NOON
from tests.support.cases import each

EMAIL: dict[str, Any] = {"name": "ops", "type": "email", "target": "ops@example.com"}


def an_alert(**given: Any) -> Alert:
    defaults: dict[str, Any] = {
        "subject": "webhook:12",
        "kind": AlertKind.FAILING,
        "since": NOON,
        "account": "applecorp",
        "webhook_id": 12,
        "label": "shop.example",
    }
    return Alert(**(defaults | given))


def a_channel(**given: Any) -> AlertChannel:
    defaults: dict[str, Any] = {
        "id": 3, "account_id": 1, "name": "ops", "type": ChannelType.EMAIL, "target": "ops@example.com",
        "alerts": (AlertKind.FAILING,), "failing_after_minutes": 15, "active": True, "signing_secret": None,
        "created_at": NOON, "updated_at": NOON,
    }  # fmt: skip
    return AlertChannel(**(defaults | given))


def test_a_message_counts_by_kind_the_worst_first() -> None:
    kinds = [AlertKind.RECOVERED, AlertKind.FAILING, AlertKind.DISABLED, AlertKind.FAILING]

    assert subject([an_alert(kind=kind) for kind in kinds]) == (
        "1 webhook was disabled, 2 webhooks are failing, 1 recovered"
    )


def test_names_make_no_header_no_html_and_no_mention() -> None:
    name = 'x\r\nBcc: all@example.com\n<b>"&'
    alert = an_alert(label=name, detail=name, kind=AlertKind.DISABLED, account=None)
    message = email(a_channel(name=name), [alert], "https://hooks.example.com", "alerts@example.com", NOON)
    parts = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}

    assert message["Bcc"] is None
    assert message["To"] == "ops@example.com"
    assert "<b>" not in parts["text/html"]
    assert "&lt;b&gt;&quot;&amp;" in parts["text/html"]
    assert "<b>" not in json.loads(slack([alert], ""))["text"]


def test_long_news_is_counted_and_not_listed() -> None:
    alerts = [an_alert(subject=f"webhook:{n}", webhook_id=n) for n in range(5_000)]
    body = json.loads(webhook(alerts, "", NOON))

    assert body["data"]["count"] == 5_000
    assert len(body["data"]["alerts"]) == 50
    assert "and 4,950 more" in json.loads(slack(alerts, ""))["text"]
    assert len(slack(alerts, "https://hooks.example.com")) < 40_000  # what Slack takes


def test_an_id_is_that_of_the_news() -> None:
    one, other = an_alert(), an_alert(subject="webhook:13", webhook_id=13)

    assert message_id(3, [one, other], NOON) == message_id(3, [other, one], NOON)
    assert message_id(3, [one], NOON) != message_id(3, [one, other], NOON)
    assert message_id(3, [one], NOON) != message_id(4, [one], NOON)
    assert message_id(3, [one], NOON) != message_id(3, [replace(one, kind=AlertKind.RECOVERED)], NOON)
    assert message_id(3, [one], NOON + timedelta(minutes=1)) == message_id(3, [one], NOON)
    assert message_id(3, [], NOON + timedelta(minutes=1)) != message_id(3, [], NOON)  # tests


@each(
    ("given", "field"),
    [
        ({"target": "a,b@example.com"}, "target"),
        ({"target": "ops@example.com\r\nBcc: x@example.com"}, "target"),
        ({"target": "Ops <ops@example.com>"}, "target"),
        ({"target": '"a b"@example.com'}, "target"),
        ({"target": "https://example.com/"}, "target"),
        ({"type": "slack"}, "target"),
        ({"type": "slack", "target": "ftp://example.com/"}, "target"),
        ({"type": "slack", "target": "https://user:secret@example.com/"}, "target"),
        ({"type": "pager"}, "type"),
        ({"alerts": []}, "alerts"),
        ({"alerts": ["backlog"]}, "alerts"),
        ({"alerts": ["everything"]}, "alerts"),
        ({"failing_after_minutes": 0}, "failing_after_minutes"),
        ({"failing_after_minutes": 10_081}, "failing_after_minutes"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"signing_secret": "whsec_x"}, "signing_secret"),
    ],
)
def test_what_is_wrong_is_refused_by_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidAlertChannel) as refused:
        checked_attributes(1, None, EMAIL | given)

    assert [*refused.value.messages] == [field]


def test_people_of_an_account_choose_among_its_users_and_keep_what_is_there() -> None:
    users = ("owner@example.com",)
    kept = checked_attributes(1, a_channel(target="set@example.com"), {"name": "new"}, users)

    assert checked_attributes(1, None, EMAIL | {"target": "owner@example.com"}, users)["target"] == users[0]
    assert kept["target"] == "set@example.com"
    with pytest.raises(InvalidAlertChannel, match="a user of the account"):
        checked_attributes(1, None, EMAIL, users)


@each("secret", ["/services/T0/B0/s3cret", "?token=s3cret", "#s3cret"])
def test_what_was_shown_of_a_url_is_written_back_without_harm(secret: str) -> None:
    before = a_channel(type=ChannelType.SLACK, target=f"https://hooks.slack.com{secret}")

    assert before.shown_target == "https://hooks.slack.com/…"
    assert "s3cret" not in repr(before)
    assert checked_attributes(1, before, {"target": before.shown_target})["target"] == before.target
