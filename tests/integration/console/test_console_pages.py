"""Each page at both widths: it opens without a complaint, fits, and axe finds nothing wrong with it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from dispatcher.alerts.channels import create_channel
from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.storage.admin import sessions
from tests.integration.console.conftest import Traffic, Window, a_session
from tests.support.receiver import Answer


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


CHANNEL = {"name": "On call", "type": "slack", "target": "https://hooks.slack.com/services/T0/B0/x"}


REPLAY = """
insert into dispatcher.replays (account_id, states, since, until, new_key, missed, state, matched, sent, paced_at,
    created_at,
    finished_at)
values (%(id)s, '{failed}', now() - interval '1 day', now(), false, false, 'stopped', 50, 20, now(), now(), now())
returning id
"""

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
    seen = window(person(), java_script_enabled=False)
    page = seen.open(f"/accounts/{account.slug}/")
    page.get_by_text("As a table").click()
    assert page.get_by_role("cell", name="1", exact=True).first.is_visible()

    page.get_by_role("link", name="Webhooks", exact=True).click()
    page.get_by_role("link", name="The books").click()
    page.get_by_role("button", name="Send a test event").click()

    assert page.locator("#ping").get_by_text("200", exact=True).is_visible()
    page.get_by_role("button", name="Reveal").click()
    assert page.get_by_text("whsec_").is_visible()
