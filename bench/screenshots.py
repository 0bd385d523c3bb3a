"""`make screenshots`: pictures of the console for the documentation, in docs/screenshots/, of data like a real day's.

Everything is of its own: Postgres and Valkey in a temporary folder, `dispatcher serve`, receivers that answer well,
slowly, or not at all. An hour of traffic is made by shifting finished deliveries back in time.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from dispatcher import clock
from dispatcher.container import Container
from dispatcher.current import use_container
from dispatcher.local.demo import demo_events
from dispatcher.local.embedded import embedded
from dispatcher.local.receiver import Arrival, Receiver
from dispatcher.model.account import Account
from dispatcher.pipeline.emit import NewEvent
from dispatcher.processes import child
from dispatcher.settings import read_settings
from dispatcher.storage import migrate
from dispatcher.storage.admin import accounts, users
from dispatcher.storage.engine import Connection, rows
from dispatcher.storage.stats import rollups
from dispatcher.webhooks import edit

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
LIMIT = 170_000
SLUG, EMAIL, PASSWORD = "applecorp", "ann@applecorp.example", "a password of the pictures"
WIDE, SLIM = (1280, 860), (390, 844)
WHOLE = ("overview", "webhook", "delivery", "replay")
"""Pages shown to their end; of the others, what a window shows."""

HOOKS: tuple[tuple[str, str, tuple[str, ...], dict[str, Any]], ...] = (
    ("/books", "Accounting", ("invoice_created", "invoice_paid", "expense_created"), {"auth_header": "Bearer token"}),
    ("/crm", "Customer relations", ("invoice_paid", "subject_created"), {"rate_limit": 50}),
    ("/stock", "Warehouse", ("inventory_move_created", "invoice_paid"), {"ordering": "resource"}),
    ("/legacy?token=secret", "The old shop", ("invoice_paid",), {"payload_version": "legacy"}),
    ("/dead", "Old ERP", ("invoice_created", "invoice_paid"), {}),
    ("/paused", "Data warehouse", ("invoice_paid",), {"active": False}),
)


def main() -> None:
    """Makes every picture anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dispatcher-pictures-") as folder, embedded(Path(folder)) as servers:
        Path(folder).chmod(0o711)
        os.environ.update(servers.environment, DISPATCHER_ALLOWED_NETWORKS="127.0.0.0/8", DISPATCHER_LOG_LEVEL="error")
        container = Container(replace(read_settings(), retry_base_s=300.0))
        use_container(container)
        migrate.upgrade(container.storage)
        with Receiver(answer) as receiver:
            ids = _a_day(container, receiver.url)
            with _serving() as url, sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path="/usr/bin/chromium-headless-shell",
                    args=["--no-sandbox", "--disable-gpu", "--disable-quic"],
                )
                _pictures(browser, container, url, ids)
                browser.close()
        container.close()
    large = [path.name for path in FOLDER.glob("*.png") if path.stat().st_size > LIMIT]
    if large:
        sys.exit(f"larger than {LIMIT} bytes: {', '.join(large)}")


def answer(arrival: Arrival) -> int:
    """The dead receiver fails; now and then the CRM does."""
    if arrival.path == "/dead":
        return 503
    return 500 if arrival.path == "/crm" and arrival.body.find(b'"id":7') > 0 else 200


# -- Data --------------------------------------------------------------------------------------------------------------


def _a_day(container: Container, url: str) -> dict[str, int]:
    """An account with a day of traffic; the ids by which pages are found."""
    storage = container.storage
    account = storage.transact(accounts.create, slug=SLUG, time_zone="Europe/Prague")
    for slug in ("northwind", "bluebird", "tailspin"):
        storage.transact(accounts.create, slug=slug, time_zone="Europe/Prague")
    _person(container, account.id, EMAIL, "write")
    _person(container, None, "ops@dispatcher.example", "operator")
    webhooks = {}
    for path, description, events, more in HOOKS:
        attributes = {"webhook_url": url + path, "events": list(events), "description": description, **more}
        webhooks[path] = edit.create_webhook(storage, SLUG, attributes).id
    _emit_all(container, account, 25)
    for _ in range(4):
        container.schedule.take(1_000, 1_000)
        container.drain_runner.run(list(webhooks.values()))
    storage.transact(_spread)
    storage.transact(_hours, webhook_ids=list(webhooks.values()))
    for _ in range(13):  # five minutes a time
        container.storage.transact(rollups.count, lag_s=0.0)
    _emit_all(container, account, 1)
    container.schedule.take(1_000, 1_000)
    container.drain_runner.run([webhooks["/books"], webhooks["/crm"], webhooks["/dead"]])
    storage.transact(rows, _OFF, id=webhooks["/legacy?token=secret"])
    storage.transact(rows, "update dispatcher.figures_until set until = dispatcher.now()")
    return {
        "webhook": webhooks["/books"],
        "retrying": _one(container, _RETRYING, webhooks["/dead"]),
        "delivered": _one(container, _DELIVERED, webhooks["/books"]),
        "event": _one(container, _LAST_EVENT, webhooks["/stock"]),
        "replay": _one(container, _REPLAY, account.id),
    }  # fmt: skip


_OFF = """
update dispatcher.webhooks set active = false, deactivated_at = now() - interval '3 hours',
    deactivated_reason = '410 Gone: the receiver says that it is no more' where id = %(id)s
"""
_DELIVERED = "select max(id) from dispatcher.deliveries where webhook_id = %(id)s and state = 'delivered'"
_LAST_EVENT = "select max(event_id) from dispatcher.deliveries where webhook_id = %(id)s"
_RETRYING = "select max(id) from dispatcher.deliveries_waiting where webhook_id = %(id)s and attempt_count > 0"
_REPLAY = """
insert into dispatcher.replays (account_id, states, since, until, rate, new_key, missed, state, matched, sent, paced_at,
    created_at, finished_at)
values (%(id)s, '{failed}', now() - interval '6 hours', now(), 20, false, false, 'stopped', 1840, 1162, now(),
    now() - interval '2 minutes', now()) returning id
"""


def _emit_all(container: Container, account: Account, rounds: int) -> None:
    events = [
        NewEvent(name=name, body=_numbered(body, number)) for number in range(rounds) for name, body in demo_events()
    ]
    container.emitter.emit(account, events)
    container.fan_out_runner.run()


def _numbered(body: dict[str, Any], number: int) -> dict[str, Any]:
    return {key: value | {"id": 93 + number} if "id" in value else value for key, value in body.items()}


def _spread(connection: Connection) -> None:
    """What is finished was so within the last hour, more of it lately; and some had failed."""
    rows(connection, """
        update dispatcher.deliveries
            set updated_at = now() - random() * random() * interval '58 minutes' - interval '70 seconds'
        where finished_on is not null""")  # fmt: skip
    rows(connection, """
        update dispatcher.deliveries
            set created_at = updated_at - (0.01 + random() * random() * 0.4) * interval '1 second'
        where finished_on is not null""")  # fmt: skip
    rows(connection, """
        update dispatcher.attempts a set finished_at = d.updated_at, started_at = d.updated_at - interval '12 ms'
        from dispatcher.deliveries d where d.id = a.delivery_id and d.finished_on is not null""")  # fmt: skip
    rows(connection, "update dispatcher.figures_until set until = now() - interval '1 hour'")
    rows(
        connection,
        "update dispatcher.webhooks set failing_since = now() - interval '52 minutes' where failing_since is not null",
    )


def _hours(connection: Connection, webhook_ids: list[int]) -> None:
    draw = random.Random(7)
    for place, webhook_id in enumerate(webhook_ids):
        for hour in range(1, 24):
            day = 40 + 30 * draw.random() + (60 if 6 < hour < 16 else 0)
            attempts = int(day) if place == 4 else int(day / 8) if place == 1 and hour < 5 else 0
            delivered, failed = 0 if place >= 4 else int(day), int(day / 4) if place == 4 else 0
            counts = {"delivered": delivered, "failed": failed, "attempts": attempts}
            rows(connection, _HOUR, id=webhook_id, hour=hour, **counts)


_HOUR = """
insert into dispatcher.figures_by_hour (webhook_id, hour, delivered, failed, failed_attempts)
values (%(id)s, date_trunc('hour', now()) - %(hour)s * interval '1 hour', %(delivered)s, %(failed)s, %(attempts)s)
"""


def _person(container: Container, account_id: int | None, email: str, permission: str) -> None:
    hashed = container.access.passwords.hash(PASSWORD)
    container.storage.transact(
        users.create, account_id, email=email, full_name="Ann", permission=permission, password_hash=hashed
    )


def _one(container: Container, sql: str, id_: int) -> int:
    id_of: int = container.storage.transact(rows, sql, id=id_)[0][0]
    return id_of


# -- Pictures ----------------------------------------------------------------------------------------------------------


def _pictures(browser: Browser, container: Container, url: str, ids: dict[str, int]) -> None:
    base = f"/accounts/{SLUG}"
    pages = {
        "overview": f"{base}/",
        "webhooks": f"{base}/webhooks",
        "webhook": f"{base}/webhooks/{ids['webhook']}",
        "form": f"{base}/webhooks/{ids['webhook']}/edit",
        "deliveries": f"{base}/deliveries",
        "delivery": f"{base}/deliveries/{ids['retrying']}",
        "delivered": f"{base}/deliveries/{ids['delivered']}",
        "events": f"{base}/events",
        "event": f"{base}/events/{ids['event']}",
        "replays": f"{base}/replays",
        "replaying": f"{base}/replays/new?state=failed",
        "replay": f"{base}/replays/{ids['replay']}",
        "live": f"{base}/deliveries/live",
        "catalogue": f"{base}/catalogue",
        "event-type": f"{base}/catalogue/invoice_paid",
        "search": f"{base}/search?q=Apple&text=1",
        "audit-log": f"{base}/audit-log",
    }
    for name, (width, height), scheme in (("", WIDE, "light"), ("-dark", WIDE, "dark"), ("-slim", SLIM, "light")):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{url}/console/sign-in")
        if name != "-dark":
            _take(page, f"sign-in{name}")
        page.get_by_label("E-mail or account").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        for title, path in pages.items():
            if name == "-dark" and title not in ("overview", "delivery", "webhook", "search"):
                continue
            page.goto(f"{url}/console{path}")
            if title == "webhook":
                page.get_by_role("button", name="Send a test event").click()
                page.locator("#ping dl").wait_for()
            _take(page, f"{title}{name}")
        context.close()
    context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]})
    page = context.new_page()
    page.goto(f"{url}/console/sign-in")
    page.get_by_label("E-mail or account").fill("ops@dispatcher.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    _take(page, "all-accounts")
    for name in ("worker@mill-1", "worker@mill-2"):
        container.schedule.workers.seen(name)
    page.goto(f"{url}/console/workers")
    _take(page, "workers")
    context.close()


def _take(page: Page, name: str) -> None:
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(
        path=FOLDER / f"{name}.png", full_page=name.partition("-")[0] in WHOLE and not name.endswith("-slim")
    )


@contextmanager
def _serving() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = child.start(
        [str(Path(sys.executable).parent / "dispatcher"), "serve"],
        death_signal=signal.SIGKILL,
        env={**os.environ, "PORT": str(port), "DISPATCHER_WEB_WORKERS": "1"},
        stdin=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    end_s = clock.monotonic() + 30
    while not _answers(url):
        if clock.monotonic() > end_s:
            sys.exit("`dispatcher serve` did not answer within 30 s")
        Event().wait(0.1)
    try:
        yield url
    finally:
        child.end(process, (signal.SIGTERM, 10.0))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
