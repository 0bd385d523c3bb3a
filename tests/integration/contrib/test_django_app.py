"""The app's other parts: pages of the admin, system checks, and `manage.py dispatcher`."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings

from dispatcher.connections.psycopg2 import parse
from dispatcher.contrib.django.databases import url
from dispatcher.contrib.django.models import WebhookRecord
from dispatcher.contrib.django.registry import RegisteredModel, watched
from dispatcher.contrib.model_events import ModelEvents
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import events
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, a_webhook
from tests.support.django_shop.models import Invoice, Silent

URL = "http://127.0.0.1:9/hook?token=secret"


@pytest.fixture
def steps(storage: Storage, account: Any) -> Steps:
    return Steps(storage, account)


@pytest.fixture
def delivery_id(steps: Steps) -> int:
    """Failed."""
    webhook = a_webhook(steps.storage, steps.account, URL)
    steps.emit(a_draft("invoice_paid"))
    steps.fan_out()
    claimed = steps.claim_one(webhook.id)
    steps.record(claimed, "500", reason="it is on fire")
    return claimed.id


@pytest.fixture
def client(account: Any) -> Client:
    """Signed in as somebody who may look at the dispatcher's tables, and change deliveries."""
    User.objects.all().delete()
    user = User.objects.create_user("ada", is_staff=True)
    names = ("view_webhookrecord", "view_deliveryrecord", "change_deliveryrecord", "view_attemptrecord")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def test_the_pages_show_webhooks_and_deliveries(client: Client, delivery_id: int) -> None:
    page = client.get("/admin/dispatcher/webhookrecord/").content.decode()
    assert "http://127.0.0.1:9/hook" in page
    assert "applecorp" in page
    page = client.get(f"/admin/dispatcher/webhookrecord/{webhook_id()}/change/").content.decode()
    assert "invoice_paid" in page
    assert "secret" not in page

    page = client.get("/admin/dispatcher/deliveryrecord/?state=failed").content.decode()
    assert "invoice_paid" in page
    assert "failed" in page
    assert "secret" not in page

    page = client.get(f"/admin/dispatcher/deliveryrecord/{delivery_id}/change/").content.decode()
    assert "it is on fire" in page


def webhook_id() -> int:
    id_: int = WebhookRecord.objects.get().pk
    return id_


def test_nothing_can_be_added_changed_or_deleted_there(client: Client, delivery_id: int) -> None:
    assert client.get("/admin/dispatcher/deliveryrecord/add/").status_code == 403
    assert client.post(f"/admin/dispatcher/deliveryrecord/{delivery_id}/delete/", {"post": "yes"}).status_code == 403
    inline = {"attemptrecord_set-TOTAL_FORMS": 0, "attemptrecord_set-INITIAL_FORMS": 0}
    changed = client.post(f"/admin/dispatcher/deliveryrecord/{delivery_id}/change/", {"state": "delivered"} | inline)
    assert changed.status_code == 302
    with connection.cursor() as cursor:
        cursor.execute("select state from dispatcher.deliveries")
        assert cursor.fetchall() == [("failed",)]


def test_a_delivery_is_redelivered_there(client: Client, steps: Steps, delivery_id: int) -> None:
    redeliver = {"action": "redeliver", "_selected_action": [delivery_id]}
    page = client.post("/admin/dispatcher/deliveryrecord/", redeliver, follow=True).content.decode()
    assert "Redelivery queued: 1" in page
    assert steps.delivery(delivery_id)["state"] == "pending"

    page = client.post("/admin/dispatcher/deliveryrecord/", redeliver, follow=True).content.decode()
    assert "is pending and cannot become pending" in page


def test_who_may_only_look_cannot_redeliver(client: Client, steps: Steps, delivery_id: int) -> None:
    User.objects.get().user_permissions.remove(Permission.objects.get(codename="change_deliveryrecord"))
    redeliver = {"action": "redeliver", "_selected_action": [delivery_id]}
    client.post("/admin/dispatcher/deliveryrecord/", redeliver, follow=True)

    assert steps.delivery(delivery_id)["state"] == "failed"


def test_the_checks_name_what_cannot_be_emitted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found for found in run_checks() if str(found.id).startswith("dispatcher")] == []

    wrong = ModelEvents(
        resource="invoice", account="applecorp", created="invoice_made", updated="invoice_paid", fields=("colour",)
    )
    monkeypatch.setitem(watched, Silent, RegisteredModel(Silent, wrong))
    found = {str(each.msg): each.id for each in run_checks() if each.obj is Silent}
    assert found == {
        "created: the catalogue has no event 'invoice_made'; give its name, a function, or None": "dispatcher.E001",
        "updated: 'invoice_paid' needs a `body` with invoice, payment": "dispatcher.E001",
        "fields: it has no 'colour'": "dispatcher.E002",
    }


def test_the_checks_name_a_database_without_the_dispatchers_tables(account: Any) -> None:
    def warnings() -> list[str | None]:
        return [each.id for each in run_checks(databases=["default"]) if str(each.id).startswith("dispatcher")]

    assert warnings() == []
    with connection.cursor() as cursor:
        cursor.execute("alter table dispatcher.events_waiting rename to elsewhere")
        assert warnings() == ["dispatcher.W001"]
        cursor.execute("alter table dispatcher.elsewhere rename to events_waiting")


def test_a_model_in_another_database_is_an_error() -> None:
    with override_settings(DISPATCHER={"DATABASE": "shop"}):
        found = [each for each in run_checks() if each.id == "dispatcher.E004"]

    assert [each.obj for each in found] == [*watched]
    assert "into the database 'default', and the dispatcher's is 'shop'" in str(found[0].msg)


def test_the_database_is_entered_as_django_enters_it(monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = {"sslmode": "verify-full", "sslcert": "/etc/shop.crt", "sslkey": "/etc/shop.key"}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {**certificate, "pool": True})
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", "a b/%@")

    parsed = parse(url("default"))
    assert parsed["password"] == "a b/%@"
    assert certificate.items() <= parsed.items()
    assert "pool" not in parsed


def test_the_dispatchers_command_is_one_of_manage(account: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("dispatcher", "account", "list")
    assert "applecorp" in capsys.readouterr().out

    call_command("dispatcher", "migrate")
    assert capsys.readouterr().out.startswith("database is at revision ")


def test_what_is_saved_is_delivered(steps: Steps, client: Client) -> None:
    webhook = a_webhook(steps.storage, steps.account, URL, events=["invoice_created"])
    Invoice.objects.create(number="2026-1")
    steps.storage.transact(events.fan_out, 500)

    (delivery,) = steps.claim({webhook.id: 10}).claimed
    assert '"number":"2026-1"' in delivery.body_json
