"""Who did what: each change has its entry, committed with it, and no entry holds a secret."""

import json
from typing import Any

import pytest

from dispatcher.cli.local import LocalBackend
from dispatcher.container import Container
from dispatcher.model.audit import SYSTEM, acting
from dispatcher.pipeline.prune import prune
from dispatcher.storage.admin import audit, tenants
from dispatcher.storage.engine import Connection
from dispatcher.web.app import create_app
from dispatcher.webhooks.edit import create_webhook
from tests.support.api import Api
from tests.support.service import Service, call_v1, things_of_v1

HOOK = {"webhook_url": "https://example.com/hook?token=s3cret", "events": ["invoice_paid"], "auth_header": "s3cret"}


def entries(service: Service, customer: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.get(f"{customer}/audit_log").json()["data"]
    return found[::-1]


def test_every_change_is_told_with_who_made_it(service: Service, customer: str) -> None:
    things = things_of_v1(service, customer)
    for route in (
        "PATCH {account}",
        "PATCH {account}/webhooks/{webhook}",
        "GET {account}/webhooks/{webhook}/secret",
        "POST {account}/webhooks/{webhook}/secret/rotate",
        "POST {account}/deliveries/{delivery}/redeliver",
        "DELETE {account}/replays/{replay}",
        "DELETE {account}/replays/{replay}",
        "POST {account}/replays/{replay}/resume",
        "POST {account}/replays/{replay}/resume",
        "DELETE {account}/users/{user}",
        "DELETE {account}/clients/{client}",
        "DELETE {account}/webhooks/{webhook}",
    ):
        assert call_v1(service, route, things).ok
    told = entries(service, customer)

    actions = [one["action"] for one in told]
    begun = actions.index("account.updated")

    assert {"account.created", "webhook.created", "replay.started", "user.created", "client.created"} < {
        *actions[:begun]
    }
    assert actions[begun:] == [
        "account.updated", "webhook.secret_shown", "webhook.secret_rotated", "delivery.redelivered", "replay.stopped",
        "replay.resumed", "user.deleted", "client.revoked", "webhook.deleted",
    ]  # fmt: skip
    assert {json.dumps(one["actor"]) for one in told} == {
        json.dumps({"kind": "service_token", "id": service.token.id, "name": "a test"})
    }
    assert {one["account"] for one in told} == {customer.rpartition("/")[2]}
    assert told[begun]["details"] == {"retention_days": 7}
    assert (told[-1]["subject"], told[1]["subject"]) == (str(things["webhook"]),) * 2


def test_what_changed_is_told_without_secrets(service: Service, customer: str, container: Container) -> None:
    account = container.storage.read(tenants.find, customer.rpartition("/")[2]).account
    api = Api.of(service.server, container, account)
    webhook_id = api.post("/webhooks.json", json=HOOK).json()["id"]
    for changes in ({"active": False}, {"auth_header": "another s3cret"}, {"active": False}):
        assert api.patch(f"/webhooks/{webhook_id}.json", json=changes).status_code == 200

    _, created, paused, hidden = entries(service, customer)

    assert created["actor"] == {"kind": "client", "id": api.client.id, "name": "a test"}
    assert created["details"]["attributes"]["webhook_url"] == "https://example.com/hook"
    assert paused["details"] == {"changes": {"active": [True, False]}}
    assert hidden["action"] == "webhook.updated"
    assert "s3cret" not in json.dumps([created, paused, hidden])


def test_the_command_shows_no_secret_without_an_entry(service: Service, customer: str, container: Container) -> None:
    slug, backend = service.get(customer).json()["slug"], LocalBackend(container)
    webhook_id = backend.create_webhook(slug, HOOK)["id"]

    assert backend.webhook(slug, webhook_id)["signing_secret"]
    assert backend.edit_webhook(slug, webhook_id, {"active": False})["signing_secret"]

    told = [one["action"] for one in entries(service, customer)[2:]]
    assert told == ["webhook.secret_shown", "webhook.updated", "webhook.secret_shown"]


def test_an_entry_is_committed_with_what_it_tells_of(service: Service, customer: str, container: Container) -> None:
    def fail(connection: Connection) -> None:
        audit.record(connection, "webhook.created", 7, account_id=None)
        raise ZeroDivisionError

    before = service.get("/audit_log?limit=1").json()["data"]
    with pytest.raises(ZeroDivisionError):
        container.storage.transact(fail)
    assert service.post(f"{customer}/webhooks", json=HOOK | {"events": ["nothing"]}).status_code == 422

    assert service.get("/audit_log?limit=1").json()["data"] == before


def test_what_a_worker_does_is_the_systems_and_a_request_leaves_its_actor_behind(
    service: Service, customer: str, container: Container
) -> None:
    slug = service.get(customer).json()["slug"]
    client = create_app(container).test_client()  # in this thread
    assert (
        client.get(
            f"/api/v1{customer}", headers={"Authorization": f"Bearer {service.text}", "User-Agent": "a test"}
        ).status_code
        == 200
    )
    create_webhook(container.storage, slug, HOOK)

    assert acting.get() == SYSTEM
    assert entries(service, customer)[-1]["actor"]["kind"] == "system"


def test_a_deleted_accounts_entries_go_and_its_deletion_is_told(service: Service, customer: str) -> None:
    external_id = customer.rpartition("/")[2]
    ((id_,),) = service.sql("select id from dispatcher.accounts where external_id = %(id)s", id=external_id)
    service.delete(customer)

    last = service.get("/audit_log?limit=1").json()["data"][0]
    assert (last["action"], last["subject"], last["account"]) == ("account.deleted", external_id, None)
    assert service.sql("select id from dispatcher.audit_log where account_id = %(id)s", id=id_) == []


def test_entries_are_kept_for_their_days(service: Service, customer: str, container: Container) -> None:
    service.sql(
        "update dispatcher.audit_log set created_at = now() - interval '8 days' where subject = %(id)s",
        id=customer.rpartition("/")[2],
    )

    prune(container.storage, 30, 7)

    assert entries(service, customer) == []
