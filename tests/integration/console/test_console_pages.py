"""Each page at both widths, also in a frame: it opens without a complaint, fits, and axe finds nothing wrong."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from dispatcher.access import portal
from dispatcher.alerts.channels import create_channel
from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.storage.admin import sessions
from tests.integration.console.conftest import (
    CHANNEL,
    FITS,
    REPLAY,
    Traffic,
    Window,
    a_session,
    look_at,
    violations,
)
from tests.integration.console.test_portal import a_link, set_look
from tests.support.receiver import Answer, Receiver


@pytest.fixture
def busy(traffic: Traffic) -> dict[str, Any]:
    """An account in which there is something on every page; the ids by which its pages are found."""
    well = traffic.webhook(description="The books", events=["invoice_paid", "invoice_sent"])
    flaky = traffic.webhook(Answer(status=503, body=b"busy"), Answer(status=503, body=b"busy"))
    off = traffic.webhook(active=False)
    (event,) = traffic.emit()
    traffic.drain(well, flaky)
    traffic.sql(
        "update dispatcher.webhooks set deactivated_at = now(), deactivated_reason = 'gone' where id = %(id)s", id=off
    )
    return {
        "webhook": well,
        "flaky": flaky,
        "off": off,
        "event": event,
        "delivery": traffic.deliveries(well)[0],
        "retrying": traffic.deliveries(flaky)[0],
        "replay": traffic.sql(REPLAY, id=traffic.account.id)[0][0],
        "channel": create_channel(traffic.container.storage, traffic.account.id, CHANNEL).id,
    }


PAGES = (
    "/",
    "/webhooks",
    "/webhooks/{webhook}",
    "/webhooks/{off}",
    "/webhooks/{webhook}/edit",
    "/webhooks/new",
    "/deliveries",
    "/deliveries?state=delivered",
    "/deliveries/{delivery}",
    "/deliveries/{retrying}",
    "/events",
    "/events/{event}",
    "/replays",
    "/replays/new",
    "/replays/{replay}",
    "/alerts",
    "/alerts/{channel}/edit",
    "/audit-log?action=web",
    "/search?q={delivery}",
    "/search?q=invoice&text=1",
    "/deliveries/live",
    "/catalogue",
    "/catalogue/invoice_paid",
    "/nowhere",
)
SEEN_IN_THE_DARK = (
    "/",
    "/webhooks/{off}",
    "/webhooks/new",
    "/deliveries",
    "/deliveries/{retrying}",
    "/replays/{replay}",
    "/audit-log?action=web",
    "/search?q=invoice&text=1",
)
"""By axe: with these every part and colour is."""


def test_every_page_fits_and_is_accessible(
    window: Callable[..., "Window"], person: Callable[..., str], account: Account, busy: dict[str, Any], axe: str
) -> None:
    seen = window(person())
    wrong = {}
    for path in PAGES:
        page = seen.open(f"/accounts/{account.slug}" + path.format(**busy))
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert page.locator("h1").count() == 1, path
        wrong[path] = seen.faults(axe, by_axe_in_the_dark=path in SEEN_IN_THE_DARK)

    assert {path: found for path, found in wrong.items() if found} == {}
    assert [one for one in seen.complaints if "404" not in one] == []


def test_the_page_of_ones_sessions_fits_and_is_accessible_and_ends_them(
    window: Callable[..., "Window"], container: Container, person: Callable[..., str], axe: str
) -> None:
    email = person()
    seen, elsewhere = window(email), a_session(container, email)
    page = seen.open("/")
    page.get_by_role("contentinfo").get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("row")).to_have_count(3)
    assert seen.faults(axe) == []

    page.get_by_role("button", name="End", exact=True).click()

    expect(page.get_by_text("Session ended.")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)
    assert container.storage.transact(sessions.find, elsewhere, container.access.session_idle) is None
    assert seen.complaints == []


def test_the_page_to_sign_in_and_that_of_all_accounts_fit_and_are_accessible(
    window: Callable[..., "Window"],
    container: Container,
    person: Callable[..., str],
    busy: dict[str, Any],
    axe: str,
) -> None:
    seen = window()
    seen.open("/sign-in")
    assert seen.faults(axe) == []
    seen.sign_in(person("operator"))
    page = seen.open("/")
    assert seen.faults(axe) == []
    container.schedule.workers.seen("worker@here")
    container.schedule.hand_out([busy["webhook"]], 1_000)
    container.schedule.renew([busy["webhook"]], container.schedule.new_token())
    page.get_by_role("link", name="Workers and queues").click()
    row = page.get_by_role("row", name="worker@here")
    expect(row).to_contain_text(re.compile(r"delivering to \d+ webhook"))
    expect(page.get_by_role("region", name="Queues")).to_contain_text("deliveries.slow")
    assert seen.faults(axe) == []
    assert seen.complaints == []


def test_every_page_works_without_scripts(
    window: Callable[..., "Window"], person: Callable[..., str], account: Account, busy: dict[str, Any]
) -> None:
    seen = window(person())
    seen.without_scripts()
    page = seen.open(f"/accounts/{account.slug}/")
    page.get_by_text("As a table").click()
    assert page.get_by_role("cell", name="1", exact=True).first.is_visible()

    page.get_by_role("link", name="Webhooks", exact=True).click()
    page.get_by_role("link", name="The books").click()
    page.get_by_role("button", name="Send a test event").click()

    assert page.locator("#ping").get_by_text("200", exact=True).is_visible()
    page.get_by_role("button", name="Reveal").click()
    assert page.get_by_text("whsec_").is_visible()


def test_a_customer_works_in_a_frame_of_another_site_by_keyboard_alone(
    window: Callable[..., Window],
    container: Container,
    account: Account,
    receiver: Receiver,
    traffic: Traffic,
    axe: str,
) -> None:
    seen = window()
    site = receiver.url("/shop").replace("127.0.0.1", "localhost")
    set_look(
        container,
        account,
        frame_ancestors=[site.removesuffix("/shop")],
        theme={"company": "Shop & Söhne", "accent": "#ffe600"},
    )
    link = portal.link(seen.url.removesuffix("/console"), a_link(container, account, role="manage"))
    page = (
        f'<!doctype html><html lang=en><title>Shop</title><iframe src="{link}" title="Webhooks" width=100% height=800>'
    )
    html = [("Content-Type", "text/html")]
    receiver.script("/shop", Answer(body=page.encode(), headers=html), Answer(body=page.encode(), headers=html))
    webhook = traffic.webhook(description="The books")

    seen.page.goto(site)
    framed = seen.page.frame_locator("iframe")
    expect(framed.get_by_role("navigation", name="Pages")).to_be_visible()
    expect(framed.get_by_text("Shop & Söhne")).to_be_visible()

    def press(name: str, role: Any = "link") -> None:
        """Reaches it by Tab, and presses Enter."""
        target = framed.get_by_role(role, name=name, exact=True)
        expect(target).to_be_visible()
        for _ in range(60):
            seen.page.keyboard.press("Tab")
            if target.evaluate("one => one === document.activeElement"):
                break
        seen.page.keyboard.press("Enter")

    press("Webhooks")
    press("The books")
    press("Pause", "button")
    expect(framed.get_by_role("status")).to_contain_text("Webhook paused.")
    assert traffic.sql("select active from dispatcher.webhooks where id = %(id)s", id=webhook) == [(False,)]
    frame = seen.page.frames[1]
    for width, scheme in ((1280, "light"), (390, "dark")):
        look_at(seen.page, width, scheme)
        frame.wait_for_function(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
        assert violations(frame, axe) == []
        assert frame.evaluate(FITS)

    seen.page.reload()  # the frame's link was used, by this browser
    expect(framed.get_by_role("navigation", name="Pages")).to_be_visible()
    portal.revoke(container.storage, account.slug)
    press("Webhooks")
    expect(framed.get_by_role("heading", name="Session ended")).to_be_visible()
    assert [one for one in seen.complaints if "401" not in one] == []


def test_a_frame_of_any_other_site_shows_nothing_and_a_link_by_mail_waits_for_its_button(
    window: Callable[..., Window], container: Container, account: Account, receiver: Receiver
) -> None:
    seen = window()
    site = receiver.url("/evil").replace("127.0.0.1", "localhost")
    set_look(container, account, frame_ancestors=["https://shop.example"])
    link = portal.link(seen.url.removesuffix("/console"), a_link(container, account))
    page = f'<!doctype html><iframe src="{link}"></iframe>'.encode()
    receiver.script("/evil", Answer(body=page, headers=[("Content-Type", "text/html")]))
    with seen.page.expect_event("console", lambda said: "frame-ancestors" in said.text):
        seen.page.goto(site)

    seen.page.goto(link)
    seen.page.get_by_role("button", name="Continue").press("Enter")
    expect(seen.page.get_by_role("navigation", name="Pages")).to_be_visible()
    assert "token" not in seen.page.url
