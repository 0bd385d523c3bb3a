"""What is kept of an account is erased: past its own retention, and when the account is deleted."""

from datetime import timedelta
from typing import Any

import pytest

from dispatcher.access import tenants
from dispatcher.access.clients import create_client
from dispatcher.pipeline.prune import prune
from dispatcher.settings import Settings
from dispatcher.storage.admin import erase
from dispatcher.storage.engine import Storage, rows, scalar
from dispatcher.storage.pipeline import emits
from tests.support.builders import a_draft, a_webhook, an_account

DELIVERY = """
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, finished_on)
select id, %(event_id)s, %(webhook_id)s, dispatcher.new_idempotency_key(id), %(state)s,
    case when %(state)s <> 'pending' then current_date - %(days)s end from nextval('dispatcher.delivery_id') id
"""
AN_OLD_EVENT = """
insert into dispatcher.events (id, account_id, name, body, created_at)
select (extract(epoch from now() - make_interval(days => %(days)s))::bigint - 1577836800) << 23, %(account_id)s,
    'invoice_paid', '{}', now() returning id
"""


def an_old_event(storage: Storage, account: Any, webhook: Any, days: int, state: str = "delivered") -> int:
    id_: int = storage.transact(scalar, AN_OLD_EVENT, account_id=account.id, days=days)
    storage.transact(rows, DELIVERY, event_id=id_, webhook_id=webhook.id, state=state, days=days)
    return id_


def kept(storage: Storage) -> set[int]:
    found: set[int] = storage.transact(lambda c: {id_ for (id_,) in rows(c, "select id from dispatcher.events")})
    return found


@pytest.fixture
def limited(storage: Storage, account: Any) -> Any:
    """The account, which keeps 3 days."""
    storage.transact(rows, "update dispatcher.accounts set retention_days = 3 where id = %(id)s", id=account.id)
    return account


def test_an_account_keeps_what_its_own_retention_says(storage: Storage, limited: Any, webhook: Any) -> None:
    other = an_account(storage, "other")
    kept_ids = {
        an_old_event(storage, limited, webhook, 2),
        an_old_event(storage, limited, webhook, 6, "pending"),  # is still to be sent
        an_old_event(storage, other, a_webhook(storage, other), 4),
    }
    an_old_event(storage, limited, webhook, 5)

    prune(storage, 30)

    assert kept(storage) == kept_ids
    assert storage.transact(scalar, "select count(*) from dispatcher.deliveries") == 3


def test_it_is_erased_batch_by_batch(
    storage: Storage, limited: Any, webhook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "BATCH", 2)
    another = a_webhook(storage, limited)
    for days in (4, 5, 6, 7, 8):
        an_old_event(storage, limited, webhook, days)
        an_old_event(storage, limited, another, days + 5)

    assert erase.keep_retentions(storage, 30.0) == 20
    assert kept(storage) == set()


def test_a_long_history_is_erased_by_the_workers(storage: Storage, account: Any, webhook: Any) -> None:
    for days in (1, 2):
        an_old_event(storage, account, webhook, days)
    storage.transact(erase.end_account, account.id)
    assert erase.erase(storage, account.id, -1.0)[1] is False  # out of time after the first batch

    prune(storage, 30)

    tables = ("events", "deliveries", "webhooks", "users")
    assert [storage.transact(scalar, f"select count(*) from dispatcher.{table}") for table in tables] == [0, 0, 0, 0]


def test_a_tombstone_stays_for_an_hour_and_takes_what_was_under_way(storage: Storage, account: Any) -> None:
    tenants.delete(storage, account.slug)
    storage.transact(emits.insert, account.id, [a_draft()])  # by a transaction that began before

    assert not erase.finish_deletion(storage, account.id, 30.0)
    assert kept(storage) == set()
    storage.transact(rows, "update dispatcher.accounts set ended_at = now() - interval '2 hours'")
    assert erase.finish_deletion(storage, account.id, 30.0)
    assert storage.transact(scalar, "select count(*) from dispatcher.accounts") == 0


def test_an_account_that_cannot_be_erased_keeps_no_other(storage: Storage, account: Any) -> None:
    tenants.delete(storage, account.slug)
    a_user = """insert into dispatcher.users (account_id, email, full_name, permission)
        values (%(id)s, 'late@example.com', 'Late', 'read')"""
    storage.transact(rows, a_user, id=account.id)  # refers to it
    tenants.delete(storage, an_account(storage, "other").slug)
    storage.transact(rows, "update dispatcher.accounts set ended_at = now() - interval '2 hours'")

    prune(storage, 30)

    assert storage.transact(rows, "select id from dispatcher.accounts") == [(account.id,)]


def test_a_client_of_a_deleted_account_leaves_others_alone(storage: Storage, account: Any) -> None:

    client, _ = create_client(storage, account.slug, "integration", ["https://example.com/back"])
    other = an_account(storage, "other")
    theirs, its = a_webhook(storage, other), a_webhook(storage, other, client_id=client.id)

    tenants.delete(storage, account.slug)

    left = storage.transact(rows, "select id, deleted_at is null from dispatcher.webhooks order by id")
    assert left == [(theirs.id, True), (its.id, False)]


def test_its_name_is_free_at_once(storage: Storage, container: Any) -> None:
    settings: Settings = container.settings
    first, _ = tenants.upsert(storage, settings, "shop", {})
    tenants.delete(storage, "shop")

    second, is_new = tenants.upsert(storage, settings, "shop", {})

    assert (second.slug, is_new, second.id != first.id) == ("shop", True, True)
    assert timedelta(0) <= second.created_at - first.created_at
