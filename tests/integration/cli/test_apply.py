"""`dispatcher apply`: what a file describes is made, once."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from dispatcher.access.clients import create_client
from dispatcher.schemas.active_catalogues import use
from dispatcher.storage.engine import Storage
from dispatcher.webhooks.edit import create_webhook

FILE = """
accounts:
  cus_17:
    time_zone: UTC
    webhooks:
      - webhook_url: https://example.com/hook
        events: [invoice_paid]
        filter:
          invoice: {total: [{numeric: [">=", 1000]}]}
"""


@pytest.fixture
def apply(run: Callable[..., Result], tmp_path: Path) -> Callable[..., Result]:
    def apply(text: str, *options: str, code: int = 0) -> Result:
        path = tmp_path / "webhooks.yaml"
        path.write_text(text, encoding="utf-8")
        return run("apply", "-f", str(path), *options, code=code)

    return apply


def test_a_file_is_applied_once(apply: Callable[..., Result], run_json: Callable[..., Any]) -> None:
    shown = apply(FILE, "--dry-run").stdout
    assert "+ account cus_17" in shown
    assert "+ webhook https://example.com/hook of cus_17" in shown
    assert run_json("account", "list") == []

    apply(FILE)
    assert apply(FILE).stdout == "nothing to change\n"
    (account,) = run_json("account", "list")
    (webhook,) = run_json("webhook", "list", "--account", account["slug"])
    assert webhook["filter"] == {"invoice": {"total": [{"numeric": [">=", 1000]}]}}


def test_what_differs_is_shown_and_changed(apply: Callable[..., Result]) -> None:
    apply(FILE)
    changed = FILE.replace("[invoice_paid]", "[invoice_paid, invoice_sent]").replace("UTC", "Europe/Prague")
    changed = changed.replace("    webhooks:", '    portal: {frame_ancestors: ["https://app.example"]}\n    webhooks:')

    shown = apply(changed, "--dry-run").stdout

    assert "    time_zone: 'UTC' -> 'Europe/Prague'" in shown
    assert "    portal: {} -> {'frame_ancestors': ['https://app.example']}" in shown
    assert "    events: ['invoice_paid'] -> ['invoice_paid', 'invoice_sent']" in shown
    assert apply(changed).stdout == shown.replace("would change", "changed")
    assert apply(changed).stdout == "nothing to change\n"


def test_what_is_secret_is_not_shown(apply: Callable[..., Result]) -> None:
    """Logs of CI keep what is printed, and a URL may hold its receiver's token."""
    secret = FILE.replace("/hook", "/hook?token=s3cret").replace(
        "  filter:",
        "  oauth2: {token_url: https://a.test/, client_id: us, client_secret: s3cret, scopes: [a]}\n"
        "        secret_headers: {X-Key: s3cret}\n        filter:",
    )

    assert "s3cret" not in apply(secret, "--dry-run").stdout + apply(secret).stdout
    assert apply(secret).stdout == "nothing to change\n"


TWO = """
accounts:
  cus_17:
    webhooks:
      - {uid: paid, webhook_url: "https://example.com/hook", events: [invoice_paid]}
      - {uid: sent, webhook_url: "https://example.com/hook", events: [invoice_sent]}
"""


def test_webhooks_with_one_url_are_known_by_their_uids(
    apply: Callable[..., Result], run_json: Callable[..., Any]
) -> None:
    apply(FILE)
    assert "    uid: None -> 'paid'" in apply(TWO).stdout  # the one that is there is not made twice
    assert apply(TWO).stdout == "nothing to change\n"

    moved = apply(
        TWO.replace('sent, webhook_url: "https://example.com/hook"', 'sent, webhook_url: "https://b.example"')
    )

    assert (
        "~ webhook sent of cus_17\n    webhook_url: 'https://example.com/hook' -> 'https://b.example'" in moved.stdout
    )
    listed = run_json("webhook", "list", "--account", run_json("account", "list")[0]["slug"])
    assert sorted((one["uid"], one["webhook_url"]) for one in listed) == [
        ("paid", "https://example.com/hook"),
        ("sent", "https://b.example"),
    ]


def test_which_of_two_webhooks_is_meant_has_to_be_said(apply: Callable[..., Result]) -> None:
    apply(TWO)
    assert "webhooks.yaml:6: " in apply(FILE, code=1).stderr
    assert "webhooks.yaml:6: " in apply(TWO.replace("sent,", "paid,"), code=1).stderr
    elsewhere = TWO.replace("cus_17", "cus_18").replace("uid: paid, ", "").replace("uid: sent, ", "")
    assert "webhooks.yaml:6: " in apply(elsewhere, code=1).stderr


def test_an_entry_without_a_uid_never_means_a_webhook_that_another_entry_names(
    apply: Callable[..., Result], run_json: Callable[..., Any]
) -> None:
    apply(TWO)
    both = (
        TWO.replace("uid: paid, ", "")
        + "      - {uid: paid, webhook_url: https://example.com/hook, events: [invoice_paid]}\n"
    )

    assert "1 changed" in apply(both).stdout
    assert apply(both, "--prune").stdout == "nothing to change\n"


def test_an_account_is_known_by_its_id_as_it_is_written(
    apply: Callable[..., Result], run_json: Callable[..., Any]
) -> None:
    apply("accounts:\n  0123: {time_zone: UTC}\n  no: {time_zone: UTC}\n")

    assert [one["slug"] for one in run_json("account", "list")] == ["0123", "no"]


def test_what_is_gone_from_the_file_is_deleted_only_on_request(
    apply: Callable[..., Result], run_json: Callable[..., Any], storage: Storage
) -> None:
    apply(TWO)
    slug = run_json("account", "list")[0]["slug"]
    client, _ = create_client(storage, slug, "theirs")
    create_webhook(storage, slug, {"webhook_url": "https://c.example", "events": ["invoice_paid"]}, client_id=client.id)
    one = TWO[: TWO.index("      - {uid: sent")]
    assert apply(one).stdout == "nothing to change\n"
    assert apply("accounts: {cus_17: {}}", "--prune").stdout == "nothing to change\n"  # it has no list of webhooks

    shown = apply(one, "--prune", "--dry-run").stdout

    assert shown == "- webhook sent of cus_17\n1 would change\n"
    assert apply(one, "--prune").stdout == shown.replace("would change", "changed")
    assert [hook["uid"] for hook in run_json("webhook", "list", "--account", slug)] == ["paid", None]


def test_a_mistake_is_told_with_its_line(apply: Callable[..., Result]) -> None:
    for old, new, line in (
        ("time_zone: UTC", "time_zone: Mars", 4),
        ("[invoice_paid]", "[invoice_payed]", 7),
        ("total:", "totl:", 8),
        ("accounts:", "account:", 2),
        ("webhook_url:", "url:", 6),
        ("https://example.com/hook", "[https://example.com/hook]", 6),
        ("cus_17:", "cus 17:", 3),
        ("filter:", "payload_limit: 2048\n        filter:", 8),
        ("filter:", "timeout_s: 31\n        filter:", 8),
        ("filter:", "event_versions: {invoice_paid: 7}\n        filter:", 8),
        ("cus_17:", "7: {}\n  cus_17:\n    x: 1", 5),
        ("[invoice_paid]", "[invoice_paid", 8),
        ("    time_zone: UTC\n", "    time_zone: UTC\n  cus_18: {}\n  cus_17:\n", 6),
    ):
        said = apply(FILE.replace(old, new), code=1).stderr

        assert f"webhooks.yaml:{line}" in said or f"line {line}" in said, new


TYPES = """
event_types:
  order.shipped:
    resource: order
    schema:
      type: object
      required: [order]
      properties:
        order:
          {type: object, required: [id], properties: {id: {type: integer}, shipped_at: {format: date-time}}}
    example: {order: {id: 17, shipped_at: 2026-01-02T03:04:05Z}}
accounts:
  cus_17:
    webhooks: [{webhook_url: "https://example.com/hook", events: [order.shipped]}]
"""


@pytest.fixture
def _catalogues_as_before() -> Iterator[None]:
    yield
    use(None)


@pytest.mark.usefixtures("_catalogues_as_before")
def test_event_types_are_stored_before_webhooks_subscribe_to_them(
    apply: Callable[..., Result], run: Callable[..., Result], run_json: Callable[..., Any], tmp_path: Path
) -> None:
    shown = apply(TYPES, "--dry-run").stdout
    assert "+ event type order.shipped version 1" in shown
    assert "+ webhook https://example.com/hook of cus_17" in shown
    use(None)  # what a dry run knows is of its process
    assert "order.shipped" not in [one["name"] for one in run_json("event-type", "list")]

    apply(TYPES)
    assert apply(TYPES).stdout == "nothing to change\n"
    shown = run("event-type", "show", "order.shipped").stdout
    assert json.loads(shown)["example"] == {"order": {"id": 17, "shipped_at": "2026-01-02T03:04:05+00:00"}}

    wider = apply(TYPES.replace("{id: {type: integer},", "{id: {type: integer}, note: {type: string},"), "--dry-run")
    assert "~ event type order.shipped version 1\n    schema:        order.shipped: order.note: added" in wider.stdout
    breaking = apply(TYPES.replace("type: integer", "type: string"), code=1).output
    assert "webhooks.yaml:5: event_types.order.shipped.schema breaks receivers; store it as version 2" in breaking

    assert "1 webhooks subscribe to order.shipped" in run("event-type", "delete", "order.shipped", code=1).output
    assert run_json("event-type", "deprecate", "order.shipped")["deprecated"] is True
    changed = run_json("event-type", "put", "order.shipped", "-f", "-", stdin="description: Left the warehouse")
    assert (changed["description"], changed["version"]) == ("Left the warehouse", 1)


@pytest.mark.usefixtures("_catalogues_as_before")
def test_stored_types_are_checked_exported_and_compared(
    apply: Callable[..., Result], run: Callable[..., Result], tmp_path: Path
) -> None:
    apply(TYPES)
    assert "stored: 1 events, no problems" in run("catalogue", "check").stdout

    base = tmp_path / "base.json"
    base.write_text(run("catalogue", "export").stdout)
    assert "order.shipped" in json.loads(base.read_text())["$defs"]
    assert run("catalogue", "diff", str(base)).stdout == "no changes\n"
    use(None)
    assert "BREAKS order.shipped: removed" in run("catalogue", "diff", str(base), "--no-stored", code=1).stdout


CHANNELS = """
accounts:
  cus_17:
    alert_channels:
      - {name: on call, type: email, target: ops@example.com, failing_after_minutes: 30}
      - {name: chat, type: slack, target: "https://hooks.slack.com/services/T0/B0/s3cret"}
alert_channels:
  - {name: pager, type: webhook, target: "https://pager.example.com/s3cret", alerts: [backlog]}
"""


def test_alert_channels_are_made_once_and_changed_without_showing_what_is_secret(
    apply: Callable[..., Result], run_json: Callable[..., Any], run: Callable[..., Result]
) -> None:
    shown = apply(CHANNELS).stdout
    assert "+ alert channel on call of cus_17" in shown
    assert "+ alert channel pager of operators" in shown
    assert apply(CHANNELS).stdout == "nothing to change\n"

    changed = CHANNELS.replace("30", "45").replace("T0/B0/s3cret", "T0/B0/s3cret2")
    shown += apply(changed).stdout
    assert "    failing_after_minutes: 30 -> 45" in shown
    assert "s3cret" not in shown
    assert apply(changed).stdout == "nothing to change\n"
    line = apply(CHANNELS.replace("ops@example.com", "nobody"), code=1).stderr
    assert ":5: accounts.cus_17.alert_channels.0.target must be an e-mail address" in line

    (mail, chat), (pager,) = (
        run_json("alert-channel", "list", *whose) for whose in (["--account", "cus_17"], ["--operators"])
    )
    assert (mail["failing_after_minutes"], chat["target"]) == (45, "https://hooks.slack.com/…")
    assert pager["alerts"] == ["backlog"]
    run("alert-channel", "edit", str(chat["id"]), "--account", "cus_17", "--paused")
    run("alert-channel", "delete", str(mail["id"]), "--account", "cus_17")
    assert [one["active"] for one in run_json("alert-channel", "list", "--account", "cus_17")] == [False]
    run("alert-channel", "delete", str(pager["id"]), "--account", "cus_17", code=1)
    run("alert-channel", "list", code=2)
    new = ("--operators", "--name", "x", "--type", "email", "--target", "ops@example.com")
    number = str(run_json("alert-channel", "create", *new)["id"])
    assert "DISPATCHER_SMTP_HOST" in run("alert-channel", "test", number, "--operators", code=1).stderr
