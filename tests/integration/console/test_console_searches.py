"""What is looked for is found, within its bounds, and nothing of others is."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from html import unescape
from typing import Any

import pytest

from dispatcher import clock
from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.model.audit import Actor, acting
from dispatcher.storage.admin import audit
from dispatcher.storage.engine import Connection
from dispatcher.storage.reads import search
from dispatcher.storage.reads.search import Bounds
from tests.integration.console.conftest import Site, Traffic, a_session
from tests.support.builders import a_body, an_account


@pytest.fixture
def base(account: Account) -> str:
    return f"/accounts/{account.slug}"


def said(answer: Any) -> str:
    """The words of a page."""
    main = unescape(re.sub(r"<[^>]*>", " ", answer.text[answer.text.index("<main") :]))
    return " ".join(main.replace("\N{NARROW NO-BREAK SPACE}", "").split())


def test_a_thing_is_found_by_any_of_its_ids(signed_in: Site, base: str, traffic: Traffic, container: Container) -> None:
    webhook = traffic.webhook(uid="shop-7")
    (event,) = traffic.emit(idempotency_key="order-93")
    (delivery,) = traffic.deliveries(webhook)
    key = traffic.sql("select idempotency_key::text from dispatcher.deliveries where id = %(id)s", id=delivery)[0][0]
    for text, found in (
        (str(delivery), f"Delivery #{delivery} by its id"),
        (f" {key.upper()} ", f"Delivery #{delivery} by its Idempotency-Key"),
        (str(event), f"Event #{event} by its id"),
        ("order-93", f"Event #{event} by its idempotency key"),
        (str(webhook), f"Webhook #{webhook} by its id"),
        ("shop-7", f"Webhook #{webhook} by its uid"),
    ):
        assert found in said(signed_in.get(f"{base}/search", params={"q": text})), text
    other = an_account(container.storage, f"{traffic.account.slug}-other")
    for text in (str(delivery), key, str(event), "order-93", str(webhook), "shop-7"):
        assert container.storage.read(search.by_id, other.id, text) == []


def test_text_in_bodies_is_found_as_far_as_the_bounds_go(
    signed_in: Site, base: str, traffic: Traffic, container: Container
) -> None:
    traffic.webhook()
    number = {"invoice": a_body()["invoice"] | {"number": "Žlutý-77"}}
    (old,) = traffic.emit(body=a_body() | number)
    traffic.emit(count=600)
    read = container.storage.read

    whole = said(signed_in.get(f"{base}/search", params={"q": "Žlutý-77"}))
    assert f"invoice_paid invoice {a_body()['invoice']['id']} #{old}" in whole
    assert "All 601 events of this time range were searched." in whole
    short = read(search.by_text, traffic.account.id, "Žlutý-77", bounds=Bounds(events=500))
    assert (short.ids, short.events, short.before is None) == ((), 500, False)
    assert read(search.by_text, traffic.account.id, "Žlutý-77", before=short.before).ids == (old,)
    assert read(search.by_text, traffic.account.id, "Žlutý-77", bounds=Bounds(stored_bytes=1)).ids == ()
    assert len(read(search.by_text, traffic.account.id, "INVOICE").ids) == 40
    slow = Bounds(seconds=0.0)
    assert read(search.by_text, traffic.account.id, "nowhere", bounds=slow).events == 20  # large ones may be few KiB
    later = clock.now() + timedelta(hours=1)
    assert read(search.by_text, traffic.account.id, "invoice", since=later).events == 0
    assert "Nothing found" not in whole
    deep = '{"a":' * 500 + "1" + "}" * 500
    traffic.sql("update dispatcher.events set body = %(deep)s where id = %(id)s", deep=deep, id=old)
    assert signed_in.get(f"{base}/events/{old}").status_code == 200
    assert "at least 3 characters" in said(signed_in.get(f"{base}/search", params={"q": "%"}))


def test_the_list_of_webhooks_is_narrowed(signed_in: Site, base: str, traffic: Traffic) -> None:
    books = traffic.webhook(description="The Books", events=["invoice_*"], tags=["eu"])
    failing = traffic.webhook(events=["invoice_sent"])
    paused, off = traffic.webhook(active=False), traffic.webhook(active=False)
    traffic.sql("update dispatcher.webhooks set failing_since = now() where id = %(id)s", id=failing)
    traffic.sql("update dispatcher.webhooks set deactivated_at = now() where id = %(id)s", id=off)
    traffic.sql("update dispatcher.webhooks set webhook_url = 'https://x.test/?token=books' where id = %(id)s", id=off)

    def found(**query: str) -> list[int]:
        page = signed_in.get(f"{base}/webhooks", params=query).text
        return [int(id_) for id_ in re.findall(r'class="strong" href="[^"]*/webhooks/(\d+)"', page)]

    assert found() == [books, failing, paused, off]
    assert found(status="active") == [books, failing]
    assert (found(status="failing"), found(status="paused"), found(status="disabled")) == ([failing], [paused], [off])
    assert found(event_name="invoice_overdue") == [books]
    assert (found(tag="eu"), found(text="books")) == ([books], [books])
    assert paused in found(text=str(paused))
    assert found(status="odd") == []


def test_the_audit_log_is_narrowed(signed_in: Site, base: str, traffic: Traffic, container: Container) -> None:
    for name in ("ann@a.test", "bob@b.test"):
        token = acting.set(Actor(kind="user", id=1, name=name))
        for action in ("webhook.created", "webhook.updated", "delivery.redelivered"):
            container.storage.transact(partial(_record, action, traffic.account.id))
        acting.reset(token)

    def found(**query: str) -> list[Any]:
        page = said(signed_in.get(f"{base}/audit-log", params=query))
        return re.findall(r"(ann|bob)@[ab]\.test user (\S+)", page)

    assert len(found()) == 6
    assert found(who="ANN@", action="webhook") == [("ann", "webhook.updated"), ("ann", "webhook.created")]
    assert found(until="2020-01-01T00:00") == []
    entries, before = container.storage.read(
        audit.search, account_id=traffic.account.id, who="ann", limit=40, scan=3
    )  # the newest three are Bob's
    assert (entries, before is None) == ([], False)
    entries, _ = container.storage.read(audit.search, account_id=traffic.account.id, who="ann", before=before)
    assert len(entries) == 3


def _record(action: str, account_id: int, connection: Connection) -> None:
    audit.record(connection, action, 7, account_id=account_id)


def test_who_may_change_nothing_searches_too(
    site: Site, base: str, container: Container, person: Callable[..., str], traffic: Traffic
) -> None:
    site.session.cookies.set("console", a_session(container, person("read")))

    assert site.get(f"{base}/search", params={"q": "nothing"}).status_code == 200
    assert site.get("/workers").status_code == site.get("/workers/now").status_code == 404
