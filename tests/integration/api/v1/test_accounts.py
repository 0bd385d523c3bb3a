"""Accounts over HTTP, by the company's own ids."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dispatcher.access.rate_limit import DEFAULT, EMITS
from dispatcher.container import Container
from dispatcher.errors import AccountNotFound
from dispatcher.storage.admin import accounts, erase, tenants
from dispatcher.storage.engine import Connection, Storage, rows, scalar, scalars
from tests.support.api import Api, a_delivery
from tests.support.builders import a_webhook, an_account
from tests.support.service import Service
from tests.support.waiting import eventually

HOOK = {"webhook_url": "https://example.com/hook", "events": ["invoice_paid"]}
EVENT = {"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 1}}}


def test_put_creates_an_account_and_changes_the_same_one_later(service: Service) -> None:
    created = service.put("/accounts/Shop:17", json={"owner_email": "jo@example.com", "requests_per_minute": 50})
    repeated = service.put("/accounts/Shop:17", json={"time_zone": "America/Lima"})

    assert (created.status_code, repeated.status_code) == (201, 200)
    assert created.json()["slug"].startswith("shop-17-")
    assert repeated.json() == created.json() | {
        "time_zone": "America/Lima",
        "updated_at": repeated.json()["updated_at"],
    }
    assert repeated.json()["requests_per_minute"] == 50
    assert service.get("/accounts/Shop:17").json() == repeated.json()


def test_an_id_that_can_be_a_slug_is_one_and_accounts_of_the_command_are_known_by_theirs(
    service: Service, container: Container
) -> None:
    an_account(container.storage, "by-command")
    assert service.get("/accounts/by-command").json()["external_id"] == "by-command"
    plain = service.put("/accounts/plain-1", json={}).json()
    assert (plain["slug"], plain["time_zone"]) == ("plain-1", "Europe/Prague")

    assert service.put("/accounts/Named", json={"slug": "chosen"}).json()["slug"] == "chosen"
    assert service.get("/accounts/chosen").status_code == 404


def test_invalid_attributes_are_named(service: Service, customer: str) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"owner_email": "nobody"}, "owner_email"),
        ({"owner_email": "no\0body@example.com"}, "owner_email"),
        ({"retention_days": 31}, "retention_days"),
        ({"retention_days": 0}, "retention_days"),
        ({"requests_per_minute": "7"}, "requests_per_minute"),
        ({"id": 1}, "id"),
        ({"external_id": "x"}, "external_id"),
        ({"slug": "other"}, "slug"),
    ]
    for attributes, field in wrong:
        answer = service.patch(customer, json=attributes)

        assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json"), attributes
        assert [error["field"] for error in answer.json()["errors"]] == [field], attributes


def test_a_slug_that_is_taken_is_a_conflict_and_an_id_has_safe_characters(service: Service, customer: str) -> None:
    slug = service.get(customer).json()["slug"]

    assert service.put("/accounts/another", json={"slug": slug}).status_code == 409
    assert service.put("/accounts/a%20b", json={}).json()["errors"][0]["field"] == "external_id"


def test_accounts_are_listed_page_by_page(service: Service, customer: str) -> None:
    ids = [f"paged-{number}" for number in range(3)]
    for external_id in ids:
        service.put(f"/accounts/{external_id}", json={})
    listed, cursor = [], None
    while True:
        answer = service.get("/accounts", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        listed += [one["external_id"] for one in answer.json()["data"]]
        cursor = answer.json()["next"]
        if cursor is None:
            break
        assert f"cursor={cursor}" in answer.headers["Link"]

    assert listed == sorted(set(listed), key=listed.index)
    assert listed[-3:] == ids
    assert service.get("/accounts?limit=0").status_code == 400


def test_an_accounts_own_limits_are_those_of_its_clients(service: Service, customer: str, container: Container) -> None:
    service.patch(customer, json={"requests_per_minute": 7, "emits_per_minute": 9})
    client = service.post(f"{customer}/clients", json={"name": "shop"}).json()
    assert client["client_secret"]

    account = container.storage.read(tenants.find, customer.rpartition("/")[2]).account
    api = Api.of(service.server, container, account)

    assert api.get("user.json").headers["X-RateLimit-Policy"] == f"{DEFAULT};q=7;w=60"
    assert api.post("/events.json", json=EVENT).headers["X-RateLimit-Policy"] == f"{EMITS};q=9;w=60"


def things_left(storage: Storage, account_id: int, webhook_id: int) -> list[str]:
    tables = {
        "accounts": ("ended_at is null and id", account_id), "webhooks": ("account_id", account_id),
        "events": ("account_id", account_id), "events_waiting": ("account_id", account_id),
        "deliveries": ("webhook_id", webhook_id), "replays": ("account_id", account_id),
        "clients": ("account_id", account_id), "users": ("account_id", account_id),
        "tokens": ("account_id", account_id),
    }  # fmt: skip
    return [
        name
        for name, (column, value) in tables.items()
        if storage.transact(rows, f"select 1 from dispatcher.{name} where {column} = %(value)s limit 1", value=value)
    ]


def test_a_deleted_account_leaves_nothing_behind_and_says_what_it_was(
    service: Service, customer: str, container: Container
) -> None:
    external_id = customer.rpartition("/")[2]
    account = container.storage.read(tenants.find, external_id).account
    api = Api.of(service.server, container, account)
    webhook = a_webhook(container.storage, account, client_id=api.client.id)
    for state in ("failed", "pending", "delivered"):
        a_delivery(api, webhook.id, state)
    assert service.post(f"{customer}/events", json=[EVENT] * 3).status_code == 202
    assert api.post("/replays.json", json={"since": "2026-01-01T00:00:00+00:00"}).status_code == 201

    answer = service.delete(customer)

    assert answer.status_code == 200
    assert answer.json() == {
        "external_id": external_id,
        "complete": True,
        "deleted": {
            "clients": 1, "users": 1, "deliveries": 3, "attempts": 6, "events": 6, "replays": 1, "webhooks": 1,
        },
    }  # fmt: skip
    assert things_left(container.storage, account.id, webhook.id) == []
    assert api.get("user.json").status_code == 401
    assert service.get(customer).status_code == 404
    assert service.delete(customer).status_code == 404
    assert service.put(customer, json={}).status_code == 201


def test_a_deleted_account_takes_no_event_by_the_name_that_is_left_of_it(
    service: Service, customer: str, container: Container
) -> None:
    id_ = container.storage.read(tenants.find, customer.rpartition("/")[2]).id
    service.delete(customer)
    (slug,) = container.storage.transact(scalars, "select slug from dispatcher.accounts where id = %(id)s", id=id_)

    assert service.post(f"/accounts/{slug}/events", json=EVENT).status_code == 404
    with pytest.raises(AccountNotFound):
        container.storage.read(accounts.find, slug)
    assert container.storage.read(accounts.find_all, [slug]) == {}


def test_what_waits_for_a_deletion_is_not_created(service: Service, customer: str, container: Container) -> None:
    """Else a client had credentials, and the account could never be erased: its users refer to it."""
    storage, ended, may_commit = container.storage, threading.Event(), threading.Event()

    def end(connection: Connection) -> None:
        erase.end_account(connection, tenants.find(connection, customer.rpartition("/")[2]).id)
        ended.set()
        may_commit.wait(30)

    new = {"clients": {"name": "late"}, "users": {"email": "late@example.com"}, "webhooks": HOOK}
    with ThreadPoolExecutor(4) as threads:
        deletion = threads.submit(storage.transact, end)
        assert ended.wait(30)
        posts = [threads.submit(service.post, f"{customer}/{name}", json=body) for name, body in new.items()]
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        eventually(lambda: storage.read(scalar, waiting) == len(new))
        may_commit.set()
        deletion.result()

        assert [post.result().status_code for post in posts] == [404, 404, 404]
