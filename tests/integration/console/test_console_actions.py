"""Each action, as people do it in Chromium; a drain is run by the test where something is to be sent."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import expect

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.storage.reads.delivery_pages import SCANS
from tests.integration.console.conftest import Traffic, Window
from tests.support.api import Server
from tests.support.builders import a_body, a_history
from tests.support.receiver import Answer, Authority
from tests.support.replays import step_replays
from tests.support.waiting import eventually


@pytest.fixture
def seen(window: Callable[..., "Window"], person: Callable[..., str]) -> Iterator[Window]:
    made = window(person())
    yield made
    assert [one for one in made.complaints if "422" not in one and "409" not in one] == []


@pytest.fixture
def base(account: Account) -> str:
    return f"/accounts/{account.slug}"


def test_signing_in_and_out(window: Callable[..., "Window"], person: Callable[..., str], account: Account) -> None:
    seen = window()
    page = seen.open(f"/accounts/{account.slug}/webhooks")
    page.get_by_label("E-mail or account").fill(person())
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Incorrect e-mail or password.")

    page.get_by_label("Password").fill("correct horse battery staple")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Webhooks")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_overview_tells_figures_and_trouble_and_stays_up_to_date(seen: Window, base: str, traffic: Traffic) -> None:
    well, off = traffic.webhook(), traffic.webhook(description="The old shop")
    traffic.emit(count=3)
    traffic.drain(well)
    traffic.sql("update dispatcher.webhooks set active = false, deactivated_at = now(), deactivated_reason = 'gone' "
                "where id = %(id)s", id=off)  # fmt: skip
    page = seen.open(f"{base}/")

    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.get_by_role("link", name="The old shop")).to_be_visible()
    expect(page.get_by_text("gone")).to_be_visible()
    figure = page.locator(".stats div", has_text="Pending").locator("dd").first
    expect(figure).to_have_text("3")

    traffic.sql("delete from dispatcher.deliveries where webhook_id = %(id)s", id=off)

    expect(figure).to_have_text("0")
    page.get_by_text("As a table").click()
    expect(page.get_by_role("row").last.get_by_role("cell").nth(1)).to_have_text("3")


def test_a_webhook_is_created_edited_paused_and_deleted(seen: Window, base: str, traffic: Traffic) -> None:
    certificate, key = Authority().client("ours.test")
    page = seen.open(f"{base}/webhooks")
    page.get_by_role("link", name="New webhook").click()
    page.get_by_label("URL").fill("https://example.com/hook")
    page.get_by_label("Authorization header").fill("Bearer x")
    page.get_by_label("Rate limit").fill("x")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("can't be empty")).to_be_visible()
    expect(page.get_by_text("is not a number")).to_be_visible()

    page.get_by_role("group", name="Expense").get_by_role("button", name="All").click()
    page.get_by_label("invoice_paid", exact=True).check()
    page.get_by_label("Rate limit").fill("7")
    page.get_by_label("Authorization header").fill("Bearer x")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("status")).to_have_text("Webhook created.")
    expect(page.get_by_role("heading", name="Events (11)")).to_be_visible()
    assert re.fullmatch(r".*/webhooks/\d+", page.url)  # nothing that a bookmark would say again
    page.reload()
    expect(page.get_by_role("heading", name="Events (11)")).to_be_visible()
    expect(page.get_by_text("Webhook created.")).to_have_count(0)
    expect(page.get_by_text("7 per second")).to_be_visible()

    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Description").fill("The books")
    page.get_by_label("Tags").fill("billing, eu")
    page.get_by_label("Metadata").fill("crm_id: 4711")
    page.get_by_label("Retry schedule").fill("60, 300")
    page.get_by_label("Success codes").fill("2xx 409")
    page.get_by_label("Headers", exact=True).fill("X-Env: test")
    page.get_by_label("Secret headers").fill("X-Key: s3cret")
    page.get_by_label("v1a: ed25519").check()
    page.get_by_label("Header prefix").fill("webhook- svix-")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="The books")).to_be_visible()
    expect(page.get_by_text("whpk_")).to_be_visible()
    for text in ("v1, v1a", "set (hidden)", "60, 300", "2xx, 409", "X-Env, X-Key", "4711"):
        expect(page.get_by_text(text, exact=True)).to_be_visible()

    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Headers", exact=True)).to_have_value("X-Env: test\n")
    expect(page.get_by_label("Secret headers")).to_have_value("X-Key: \n")
    expect(page.get_by_label("Header prefix")).to_have_value("webhook- svix-")
    page.get_by_label("Success codes").fill("ok")
    page.get_by_label("Secret headers").fill("X-Key: other")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Enter it again: it is not shown")).to_be_visible()
    expect(page.get_by_text("must be an array of 1 to 50 codes")).to_be_visible()
    page.get_by_label("Success codes").fill("")
    page.get_by_label("Remove the current header").check()
    page.get_by_label("Token endpoint").fill("https://auth.example.com/token")
    page.get_by_label("Client ID").fill("us")
    page.get_by_label("Client secret").fill("hunter2")
    page.get_by_label("Other parameters").fill("audience: https://api.example.com")
    page.get_by_label("Certificate and its chain").fill(certificate)
    page.get_by_label("Private key").fill(key)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("X-Env, X-Key")).to_be_visible()

    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Client secret")).to_have_value("")
    expect(page.get_by_label("Private key")).to_have_value("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("us at https://auth.example.com/token")).to_be_visible()
    expect(page.get_by_text("O=trustme")).to_be_visible()

    page.get_by_role("link", name="billing").click()
    expect(page.get_by_text("· in use")).to_be_visible()
    page.get_by_role("link", name="The books").click()

    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".head .state")).to_have_text("paused")
    page.get_by_role("button", name="Activate").click()
    expect(page.locator(".head .state")).to_have_text("healthy")

    page.get_by_text("Delete this webhook …").click()
    page.get_by_role("button", name="Delete webhook").click()
    expect(page.get_by_text("No webhooks yet.")).to_be_visible()


def test_a_ping_is_answered_at_once_and_the_secret_is_revealed_and_rotated(
    seen: Window, base: str, traffic: Traffic
) -> None:
    webhook = traffic.webhook(Answer(status=500, body=b"<b>oh</b>"), success_codes=("500",))
    page = seen.open(f"{base}/webhooks/{webhook}")

    page.get_by_label("Event", exact=True).select_option("invoice_paid")
    page.get_by_role("button", name="Send a test event").click()
    expect(page.locator("#ping").get_by_text("500")).to_have_class("status is-good")
    expect(page.locator("#ping pre").last).to_have_text("<b>oh</b>")

    page.get_by_role("button", name="Reveal").click()
    expect(page.locator("#signing-secret")).to_have_text(re.compile("whsec_"))
    before = page.locator("#signing-secret").text_content()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Rotate").click()
    expect(page.locator("#secret")).to_contain_text("also signs until")
    assert page.locator("#signing-secret").text_content() != before


def test_why_a_webhook_was_switched_off_is_told_and_it_is_activated(
    seen: Window, base: str, traffic: Traffic, container: Container
) -> None:
    webhook = traffic.webhook()
    traffic.emit()
    traffic.sql("update dispatcher.webhooks"
        " set active = false, deactivated_at = now(), deactivated_reason = 'nobody there' "
                "where id = %(id)s", id=webhook)  # fmt: skip
    (delivery,) = traffic.deliveries(webhook)
    page = seen.open(f"{base}/deliveries/{delivery}")
    expect(page.get_by_text("nobody there")).to_be_visible()

    page.get_by_role("link", name=f"#{webhook}").click()
    expect(page.get_by_text("nobody there")).to_be_visible()
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_role("status")).to_contain_text("Webhook activated.")

    traffic.drain(webhook)
    assert traffic.state(delivery) == "delivered"


def test_what_cannot_be_redelivered_is_refused_with_the_reason(seen: Window, base: str, traffic: Traffic) -> None:
    webhook = traffic.webhook(payload_version="legacy")
    traffic.emit()
    traffic.drain(webhook)
    (delivery,) = traffic.deliveries(webhook)
    traffic.sql("update dispatcher.deliveries set redelivery_count = 100 where id = %(id)s", id=delivery)

    page = seen.open(f"{base}/deliveries/{delivery}")
    page.get_by_role("button", name="Redeliver").click()
    page.get_by_role("button", name="Send 1 delivery again").click()
    expect(page.get_by_text("it was redelivered 100 times, the most allowed")).to_be_visible()

    traffic.sql("update dispatcher.deliveries set redelivery_count = 0 where id = %(id)s", id=delivery)
    traffic.sql(
        "delete from dispatcher.events where id = (select event_id from dispatcher.deliveries where id = %(id)s)",
        id=delivery,
    )
    page.get_by_role("button", name="Redeliver").click()
    page.get_by_role("button", name="Send 1 delivery again").click()
    expect(page.get_by_text("its event is gone")).to_be_visible()
    assert traffic.state(delivery) == "delivered"


def test_a_queue_keeps_its_credentials_and_shows_none(seen: Window, base: str, traffic: Traffic) -> None:
    page = seen.open(f"{base}/webhooks/new")
    page.get_by_label("URL").fill("amqps://mq.example.com/shop")
    page.get_by_label("invoice_paid", exact=True).check()
    page.get_by_text("Queue or bucket").click()
    page.get_by_label("Destination").fill("routing_key: {event}")
    page.get_by_label("Credentials", exact=True).fill("username: shop")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("must be password and username")).to_be_visible()
    page.get_by_label("Credentials", exact=True).fill("username: shop\npassword: s3cret")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("status")).to_have_text("Webhook created.")
    expect(page.get_by_text("{event}", exact=True)).to_be_visible()

    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Credentials", exact=True)).to_have_value("username: \npassword: \n")
    page.get_by_label("Description").fill("Their queue")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Their queue")).to_be_visible()
    assert "s3cret" not in page.content()


def test_the_payload_folds_and_is_copied_as_curl(seen: Window, base: str, traffic: Traffic, server: Server) -> None:
    webhook = traffic.webhook(auth_header="Bearer hunter2", headers={"X-Env": "prod"}, secret_headers={"X-Key": "k3y"})
    traffic.emit(body=a_body())
    (delivery,) = traffic.deliveries(webhook)
    seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    page = seen.open(f"{base}/deliveries/{delivery}")

    number = page.locator(".tree").get_by_text("number", exact=True).first
    expect(number).to_be_hidden()
    page.locator(".tree").get_by_text("invoice", exact=True).click()
    expect(number).to_be_visible()

    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl -X POST http://127.0.0.1:")
    assert "Idempotency-Key: " in copied
    assert '"Authorization: $AUTH_HEADER"' in copied
    assert "-H 'X-Env: prod'" in copied
    page.get_by_role("region", name="Request headers").locator("button").click()
    expect(page.get_by_role("region", name="Request headers").locator("button")).to_have_text("Copied")
    headers = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert {"X-Env: prod", "X-Key: (hidden)", "Authorization: (hidden)", "webhook-signature: (hidden)"} <= set(headers)
    assert not any(secret in page.content() for secret in ("hunter2", "k3y"))


def test_a_delivery_is_followed_from_a_failed_try_to_its_success(seen: Window, base: str, traffic: Traffic) -> None:
    webhook = traffic.webhook(Answer(status=503, body=b"busy", headers=[("X-Trace", "abc")]))
    traffic.emit()
    traffic.drain(webhook)
    (delivery,) = traffic.deliveries(webhook)
    page = seen.open(f"{base}/webhooks/{webhook}")
    page.get_by_role("region", name="Latest deliveries").get_by_role("link", name="invoice_paid").click()
    expect(page.locator(".state").first).to_have_text("retrying")
    expect(page.get_by_text("Backing off: after 1 failed attempt, the next one follows in 20 s")).to_be_visible()
    page.get_by_text("Response body", exact=True).click()
    expect(page.locator(".attempts pre").last).to_have_text("busy")
    page.get_by_text("Response headers").click()
    expect(page.get_by_text("X-Trace: abc")).to_be_visible()

    page.get_by_role("button", name="Retry now").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_have_text("The next attempt is due now.")
    assert "retried" not in page.url
    page.reload()
    expect(page.get_by_role("status")).to_have_count(0)
    traffic.drain(webhook)
    assert traffic.state(delivery) == "delivered"
    expect(page.get_by_role("heading", name="Attempts (2)")).to_be_visible()
    expect(page.locator(".state").first).to_have_text("delivered")

    page.get_by_role("button", name="Redeliver").click()
    expect(page.get_by_text(f"Delivery {delivery} was delivered already.")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    assert traffic.state(delivery) == "delivered"
    page.get_by_role("button", name="Redeliver").click()
    page.get_by_role("button", name="Send 1 delivery again").click()
    expect(page.get_by_role("status")).to_have_text("Redelivery queued.")
    assert traffic.state(delivery) == "pending"


def test_deliveries_are_narrowed_by_every_filter(seen: Window, base: str, traffic: Traffic) -> None:
    first, second = traffic.webhook(), traffic.webhook(events=["invoice_paid", "inbox_file_removed_all"])
    traffic.emit(body=a_body() | {"invoice": a_body()["invoice"] | {"id": 7001}})
    traffic.emit("inbox_file_removed_all", body={"inbox_files": {"count": 3}})
    traffic.drain(first)
    key = traffic.sql("select idempotency_key::text from dispatcher.deliveries where webhook_id = %(id)s", id=first)[0][
        0
    ]
    page = seen.open(f"{base}/deliveries")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_text("Filter").click()
    for field, value, count in (
        ("Webhook", str(second), 2),
        ("Event", "inbox_file_removed_all", 1),
        ("State", "delivered", 1),
        ("From", "2100-01-01T00:00", 0),
        ("Before", "2100-01-01T00:00", 3),
        ("Resource id", "7001", 2),
        ("Resource id", "7002", 0),
        ("Idempotency-Key", key, 1),
    ):
        box = page.get_by_label(field, exact=True)
        fill = box.select_option if field in ("Webhook", "Event", "State") else box.fill
        fill(value)
        with page.expect_navigation():
            page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("· in use")).to_be_visible()
        assert (rows.count(), box.input_value()) == (count, value), field
        fill("")  # the next one alone


def test_a_filter_that_cannot_be_is_told(seen: Window, base: str, traffic: Traffic) -> None:
    page = seen.open(f"{base}/deliveries?idempotency_key=x&since=noon")

    expect(page.get_by_text("must be a UUID")).to_be_visible()
    expect(page.get_by_text("must be a date and time")).to_be_visible()


def test_lists_go_on_page_by_page(seen: Window, base: str, traffic: Traffic) -> None:
    webhook = traffic.webhook()
    traffic.emit(count=45)
    for path in ("deliveries", "events"):
        page = seen.open(f"{base}/{path}")
        assert page.locator("tbody tr").count() == 40
        page.get_by_role("link", name="Older").click()
        expect(page.locator("tbody tr")).to_have_count(5)
        page.get_by_role("link", name="Newest").click()
        expect(page.locator("tbody tr")).to_have_count(40)
    assert len(traffic.deliveries(webhook)) == 45


def test_a_rare_event_is_found_by_looking_on(seen: Window, base: str, container: Container, traffic: Traffic) -> None:
    webhook = traffic.webhook(events=["invoice_paid", "invoice_sent"])
    traffic.emit("invoice_sent")
    traffic.emit()
    rare, often = traffic.deliveries(webhook)
    a_history(container.storage, often, sum(SCANS) + 1_000)
    page = seen.open(f"{base}/deliveries?event_name=invoice_sent")
    expect(page.get_by_text(f"Only about {sum(SCANS):,} deliveries were searched, the newest.")).to_be_visible()
    expect(page.get_by_text("No deliveries match this filter.")).to_have_count(0)

    page.get_by_role("link", name="Older").click()

    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text(f"#{rare}")
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    expect(page.get_by_text("were searched")).to_have_count(0)


def test_many_are_chosen_and_sent_again(seen: Window, base: str, traffic: Traffic) -> None:
    webhook = traffic.webhook()
    traffic.emit(count=3)
    traffic.fail(webhook)
    page = seen.open(f"{base}/deliveries?state=failed")

    page.get_by_role("button", name="Redeliver selected").click()
    expect(page.get_by_role("status")).to_have_text("No deliveries selected.")
    page.get_by_label("All on this page").check()
    page.get_by_label("Select delivery").first.uncheck()
    page.get_by_role("button", name="Redeliver selected").click()

    expect(page.get_by_role("status")).to_have_text("Redeliveries queued: 2.")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert sorted(traffic.state(id_) for id_ in traffic.deliveries(webhook)) == ["failed", "pending", "pending"]


def test_a_replay_is_counted_started_followed_stopped_and_resumed(
    seen: Window, base: str, traffic: Traffic, container: Container
) -> None:
    webhook = traffic.webhook()
    traffic.emit(count=25)
    traffic.fail(webhook)
    page = seen.open(f"{base}/deliveries?state=failed&webhook_id={webhook}")
    page.get_by_role("link", name="Replay all matching …").click()
    page.get_by_label("Rate").fill("1000")

    page.get_by_role("button", name="Count matches").click()
    expect(page.locator("#answer")).to_contain_text("25 deliveries would be replayed")
    page.get_by_role("button", name="Start replay").click()
    expect(page.get_by_role("heading", name="0 of 25 sent running")).to_be_visible()

    eventually(lambda: step_replays(container).sent, what="a first batch")
    expect(page.get_by_role("heading", name=re.compile("^[1-9][0-9]* of 25 sent running"))).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_have_text("Replay stopped.")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_have_text("Replay resumed.")

    def is_done() -> list[Any]:
        traffic.drain(webhook)
        step_replays(container)
        return traffic.sql(
            "select from dispatcher.replays where account_id = %(id)s and state = 'done'", id=traffic.account.id
        )

    eventually(is_done, what="the replay's end")
    expect(page.get_by_role("heading", name="25 of 25 sent done")).to_be_visible()


def test_a_replay_that_cannot_be_is_refused(seen: Window, base: str, traffic: Traffic) -> None:
    page = seen.open(f"{base}/replays/new")
    page.get_by_label("Created from").fill("2100-01-01T00:00")
    page.get_by_role("button", name="Count matches").click()
    expect(page.locator("#answer")).to_contain_text("since must be in the past")

    page.get_by_role("button", name="Start replay").click()
    expect(page.get_by_text("must be in the past")).to_be_visible()


def test_an_event_tells_to_whom_it_went_and_why_not_to_the_others(seen: Window, base: str, traffic: Traffic) -> None:
    got, inactive = traffic.webhook(), traffic.webhook(active=False)
    other = traffic.webhook(events=["invoice_sent"])
    legacy = traffic.webhook(events=["invoice_overdue"], payload_version="legacy")
    (event,) = traffic.emit()
    late = traffic.webhook()
    traffic.sql("update dispatcher.webhooks set created_at = now() + interval '1 minute' where id = %(id)s", id=late)
    traffic.sql("update dispatcher.webhooks"
        " set created_at = now() - interval '1 day', updated_at = now() - interval '1 day' "
                "where id = any (%(ids)s)", ids=[got, inactive, other, legacy])  # fmt: skip
    page = seen.open(f"{base}/events")
    page.get_by_role("link", name="invoice_paid").click()

    expect(page.get_by_role("heading", name="Sent to (1)")).to_be_visible()
    said = page.get_by_role("region", name="Not sent to (4)").get_by_role("listitem").all_inner_texts()
    assert [text.split("\n")[-1] for text in said] == [
        "The webhook is inactive.",
        "Not subscribed to this event.",
        "Not subscribed to this event.",
        "The webhook was created after the event.",
    ]
    page.get_by_role("link", name="its deliveries").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert str(event)


def test_deliveries_appear_while_they_are_watched(seen: Window, base: str, traffic: Traffic) -> None:
    webhook = traffic.webhook()
    traffic.emit()
    page = seen.open(f"{base}/deliveries?event_name=invoice_paid")
    page.get_by_role("link", name="Watch live").click()
    rows = page.locator("#live tbody tr")
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="invoice_paid").focus()

    traffic.emit()
    traffic.drain(webhook)

    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("delivered")
    expect(page.get_by_role("link", name="invoice_paid").last).to_be_focused()  # the keyboard's place stays
    last = page.request.get(page.url.replace("/live?", "/live/rows?ends=1&")).text()
    assert ("Updates have stopped after 10 minutes" in last, "hx-get" in last) == (True, False)


def test_times_are_those_of_the_viewer(
    window: Callable[..., "Window"], person: Callable[..., str], base: str, traffic: Traffic
) -> None:
    traffic.webhook()
    traffic.emit(created_at=datetime(2026, 6, 13, 12, tzinfo=UTC))
    seen = window(person("read"))
    seen.in_time_zone("America/New_York")
    seen.open("/time-zone")  # the browser's is known from the first page on
    page = seen.open(f"{base}/events")
    expect(page.get_by_text("13 Jun 2026 08:00:00")).to_be_visible()
    page.get_by_role("link", name="Time zone").click()
    page.get_by_label("Show times in").select_option("Asia/Tokyo")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("contentinfo")).to_contain_text("Times are in Asia/Tokyo.")
    page = seen.open(f"{base}/events")
    expect(page.get_by_text("13 Jun 2026 21:00:00")).to_be_visible()
    assert seen.complaints == []


def test_operators_go_from_all_accounts_to_one(
    window: Callable[..., "Window"], person: Callable[..., str], account: Account, traffic: Traffic
) -> None:
    traffic.webhook(description="Their hook")
    page = window(person("operator")).open("/")
    page.get_by_role("link", name=account.slug, exact=True).click()
    page.get_by_role("link", name="Webhooks", exact=True).click()
    expect(page.get_by_role("link", name="Their hook")).to_be_visible()
    page.get_by_role("link", name="All accounts").click()
    expect(page.get_by_role("heading", name="All accounts")).to_be_visible()
