from typing import Any

import pytest
from cryptography.fernet import Fernet

from dispatcher.errors import AccountExists, AccountNotFound, SecretDecryptionFailed, WebhookNotFound
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.storage.admin import accounts, webhooks
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import deliveries
from dispatcher.storage.secrets import SecretBox
from tests.integration.storage.conftest import Steps
from tests.support.builders import SECRET_KEY, a_webhook, an_account


def test_a_webhook_comes_back_as_it_was_made(storage: Storage, account: Account) -> None:
    made = a_webhook(
        storage,
        account,
        "https://a.test/x?token=hunter2",
        ["invoice_paid", "invoice_sent"],
        auth_header="Bearer abc",
        active=False,
    )

    assert storage.transact(webhooks.find, storage.secrets, account.id, made.id) == made
    assert (made.auth_header, made.active, made.events) == ("Bearer abc", False, ("invoice_paid", "invoice_sent"))
    assert made.signing_secret.startswith("whsec_")
    assert "abc" not in repr(made)
    assert "hunter2" not in repr(made)
    assert made.signing_secret not in repr(made)


def test_secrets_are_encrypted_in_the_rows(steps: Steps, storage: Storage, account: Account) -> None:
    made = a_webhook(storage, account, auth_header="Bearer abc")
    (row,) = steps.rows("select auth_header_encrypted, signing_secret_encrypted from dispatcher.webhooks")

    assert storage.secrets.open(row[0]) == "Bearer abc"
    assert storage.secrets.open(row[1]) == made.signing_secret


def test_options_are_one_column_that_is_null_without_any(steps: Steps, storage: Storage, account: Account) -> None:
    made = a_webhook(storage, account, headers={"X-A": "1"}, secret_headers={"X-B": "s3cret"})
    a_webhook(storage, account)
    with_options, without = steps.rows("select options from dispatcher.webhooks order by id")

    assert without == (None,)
    assert with_options[0]["headers"] == {"X-A": "1"}
    assert storage.secrets.open(with_options[0]["secret_headers"]) == '{"X-B": "s3cret"}'
    assert storage.transact(webhooks.find, storage.secrets, account.id, made.id) == made
    assert "s3cret" not in repr(made)


def test_each_webhook_has_its_own_secret_and_list_of_failures(storage: Storage, account: Account) -> None:
    first, second = (a_webhook(storage, account) for _ in range(2))

    assert first.signing_secret != second.signing_secret
    assert first.failed_deliveries_uuid != second.failed_deliveries_uuid


def test_an_edit_keeps_the_secret(storage: Storage, account: Account, webhook: Webhook) -> None:
    attributes = {
        "webhook_url": "https://b.test",
        "events": ["invoice_sent"],
        "auth_header": "Token 1",
        "active": False,
        "payload_version": "v3",
    }
    edited = storage.transact(webhooks.edit, storage.secrets, account.id, webhook.id, attributes)

    assert (edited.webhook_url, edited.events, edited.active) == ("https://b.test", ("invoice_sent",), False)
    assert edited.signing_secret == webhook.signing_secret
    assert edited.updated_at > webhook.updated_at


def test_a_key_pair_is_made_where_it_first_signs_and_then_kept(
    steps: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    def edit(*schemes: str) -> Webhook:
        attributes = {"webhook_url": "https://b.test", "events": ["invoice_sent"], "signature_schemes": schemes}
        return storage.transact(webhooks.edit, storage.secrets, account.id, webhook.id, attributes)

    edited = edit("v1", "v1a")
    made = a_webhook(storage, account, signature_schemes=["v1a"])

    assert webhook.public_key is None
    assert edited.public_key
    assert made.public_key
    assert edited.signing_secret == webhook.signing_secret
    assert edit("v1").public_key == edit("v1a").public_key == edited.public_key
    stored = steps.rows("select signing_secret_encrypted from dispatcher.webhooks order by id")
    assert ["whsk_" in storage.secrets.open(one) for (one,) in stored] == [True, True]
    assert "whsk_" not in repr(edited)


@pytest.mark.parametrize("step", ["find", "delete"])
def test_another_accounts_webhook_does_not_exist(storage: Storage, webhook: Webhook, step: str) -> None:
    other = an_account(storage, "pearcorp")

    def work(connection: Any) -> Any:
        if step == "delete":
            return webhooks.delete(connection, other.id, webhook.id)
        return webhooks.find(connection, storage.secrets, other.id, webhook.id)

    with pytest.raises(WebhookNotFound):
        storage.transact(work)


def test_a_deleted_webhook_is_not_found_nor_listed(storage: Storage, account: Account, webhook: Webhook) -> None:
    storage.transact(webhooks.delete, account.id, webhook.id)

    assert storage.transact(webhooks.list_for_account, storage.secrets, account.id) == []
    with pytest.raises(WebhookNotFound):
        storage.transact(webhooks.delete, account.id, webhook.id)


def test_a_webhook_that_wants_nothing_is_refused_by_postgres(storage: Storage, account: Account) -> None:
    with pytest.raises(Exception, match="webhooks_want_something"):
        a_webhook(storage, account, events=[])


def test_accounts_are_unique_by_slug(storage: Storage, account: Account) -> None:
    with pytest.raises(AccountExists):
        an_account(storage)
    with pytest.raises(AccountNotFound):
        storage.transact(accounts.find, "nobody")
    assert storage.transact(accounts.list_all) == [account]


def test_secrets_are_rotated_to_the_newest_key_page_by_page(steps: Steps, storage: Storage, account: Account) -> None:
    made = a_webhook(storage, account, auth_header="Bearer abc", secret_headers={"X-B": "s3cret"})
    steps.rows(
        "insert into dispatcher.webhooks (account_id, webhook_url, signing_secret_encrypted,"
        " previous_secret_encrypted, events)"
        " select account_id, webhook_url, signing_secret_encrypted, signing_secret_encrypted, events"
        " from dispatcher.webhooks, generate_series(1, 600)"
    )
    new = Fernet.generate_key().decode()
    both, after, counts = SecretBox([new, SECRET_KEY]), 0, []
    while True:
        done, after = storage.transact(webhooks.rotate_secrets, both, after)
        counts.append(done)
        if not done:
            break

    assert counts == [500, 101, 0]
    only_new = SecretBox([new])
    for row in steps.rows(
        "select signing_secret_encrypted, coalesce(previous_secret_encrypted, signing_secret_encrypted)"
        " from dispatcher.webhooks"
    ):
        assert {only_new.open(text) for text in row} == {made.signing_secret}
    assert only_new.open(steps.value("select max(auth_header_encrypted) from dispatcher.webhooks")) == "Bearer abc"
    (options,) = steps.rows("select options from dispatcher.webhooks where options is not null")
    assert only_new.open(options[0]["secret_headers"]) == '{"X-B": "s3cret"}'
    with pytest.raises(SecretDecryptionFailed):
        storage.transact(webhooks.find, storage.secrets, account.id, made.id)


def test_a_rotation_without_the_old_key_changes_nothing(steps: Steps, storage: Storage, webhook: Webhook) -> None:
    before = steps.value("select signing_secret_encrypted from dispatcher.webhooks")

    with pytest.raises(SecretDecryptionFailed):
        storage.transact(webhooks.rotate_secrets, SecretBox([Fernet.generate_key().decode()]), 0)
    assert steps.value("select signing_secret_encrypted from dispatcher.webhooks") == before


def test_a_worker_starts_beside_options_of_a_later_release(steps: Steps, storage: Storage, account: Account) -> None:
    made = a_webhook(storage, account, secret_headers={"X-B": "s3cret"})
    later = "(options::jsonb || '{\"later\": 1}')::json"
    steps.rows(f"update dispatcher.webhooks set options = {later} where id = %(id)s returning id", id=made.id)

    storage.read(webhooks.check_newest, storage.secrets)

    with pytest.raises(SecretDecryptionFailed):
        storage.read(webhooks.check_newest, SecretBox([Fernet.generate_key().decode()]))


@pytest.mark.parametrize("wrong", ['{"secret_headers": {"X-B": "plain"}}', '{"retry_schedule": "later"}'])
def test_options_that_cannot_be_read_stop_their_own_webhook_only(
    steps: Steps, storage: Storage, account: Account, wrong: str
) -> None:
    broken, fine = a_webhook(storage, account), a_webhook(storage, account)
    sql = "update dispatcher.webhooks set options = cast(%(options)s as json) where id = %(id)s returning id"
    steps.rows(sql, options=wrong, id=broken.id)

    found = storage.read(deliveries.targets, storage.secrets, {broken.id, fine.id})

    assert found.keys() == {fine.id}
