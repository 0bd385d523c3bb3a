"""Webhooks: who wants which events, with secrets encrypted. Never deleted, only marked: attempts point to them."""

from collections.abc import Sequence
from typing import Any

from dispatcher.errors import WebhookUnknown
from dispatcher.model.webhook import PayloadVersion, Webhook
from dispatcher.storage.engine import Connection, Row, rows
from dispatcher.storage.secrets import SecretBox, new_signing_secret

_COLUMNS = """w.id, a.slug, w.failed_deliveries_uuid, w.webhook_url, w.auth_header_encrypted, w.active, w.events,
    w.payload_version, w.signing_secret_encrypted, w.created_at, w.updated_at"""

_INSERT = f"""
with w as (
    insert into webhooks (account_id, webhook_url, auth_header_encrypted, signing_secret_encrypted, active, events,
        payload_version)
    values (%(account_id)s, %(webhook_url)s, %(auth_header)s, %(secret)s, %(active)s, %(events)s, %(payload_version)s)
    returning *)
select {_COLUMNS} from w join accounts a on a.id = w.account_id
"""

_LIST = f"""
select {_COLUMNS} from webhooks w join accounts a on a.id = w.account_id
where w.account_id = %(account_id)s and w.deleted_at is null order by w.id
"""

_FIND = f"""
select {_COLUMNS} from webhooks w join accounts a on a.id = w.account_id
where w.id = %(id)s and w.account_id = %(account_id)s and w.deleted_at is null
"""

_EDIT = f"""
with w as (
    update webhooks set webhook_url = %(webhook_url)s, auth_header_encrypted = %(auth_header)s, active = %(active)s,
        events = %(events)s, payload_version = %(payload_version)s, updated_at = now()
    where id = %(id)s and account_id = %(account_id)s and deleted_at is null returning *)
select {_COLUMNS} from w join accounts a on a.id = w.account_id
"""

_DELETE = """
update webhooks set deleted_at = now(), active = false, updated_at = now()
where id = %(id)s and account_id = %(account_id)s and deleted_at is null returning id
"""

# What a drain holds right now is cancelled too; its 2xx still makes it delivered.
_CANCEL = """
update deliveries set state = 'cancelled', finished_on = dispatcher_now()::date, lease_token = null,
    updated_at = dispatcher_now()
where webhook_id = %(id)s and finished_on is null
"""

_SECRETS = """
select id, auth_header_encrypted, signing_secret_encrypted, previous_secret_encrypted from webhooks
where id > %(after)s order by id limit 500 for update
"""

_STORE_SECRETS = """
update webhooks set auth_header_encrypted = %(auth_header)s, signing_secret_encrypted = %(current)s,
    previous_secret_encrypted = %(previous)s where id = %(id)s
"""


def create(connection: Connection, secrets: SecretBox, account_id: int, attributes: dict[str, Any]) -> Webhook:
    """A new webhook with a new signing secret; `attributes` as `flow.edit_webhook` has checked them."""
    parameters = {**_parameters(secrets, attributes), "account_id": account_id}
    return _webhook(rows(connection, _INSERT, parameters | {"secret": secrets.close(new_signing_secret())})[0], secrets)


def of_account(connection: Connection, secrets: SecretBox, account_id: int) -> list[Webhook]:
    """The account's webhooks, oldest first."""
    return [_webhook(row, secrets) for row in rows(connection, _LIST, {"account_id": account_id})]


def find(connection: Connection, secrets: SecretBox, account_id: int, webhook_id: int) -> Webhook:
    """One webhook of the account; raises WebhookUnknown."""
    found = rows(connection, _FIND, {"account_id": account_id, "id": webhook_id})
    if not found:
        raise WebhookUnknown(webhook_id)
    return _webhook(found[0], secrets)


def edit(
    connection: Connection, secrets: SecretBox, account_id: int, webhook_id: int, attributes: dict[str, Any]
) -> Webhook:
    """Stores the webhook's attributes, all of them; raises WebhookUnknown."""
    parameters = {**_parameters(secrets, attributes), "account_id": account_id, "id": webhook_id}
    found = rows(connection, _EDIT, parameters)
    if not found:
        raise WebhookUnknown(webhook_id)
    return _webhook(found[0], secrets)


def delete(connection: Connection, account_id: int, webhook_id: int) -> None:
    """Marks the webhook deleted and cancels what waits for it; raises WebhookUnknown."""
    if not rows(connection, _DELETE, {"account_id": account_id, "id": webhook_id}):
        raise WebhookUnknown(webhook_id)
    rows(connection, _CANCEL, {"id": webhook_id})


def signing_keys(connection: Connection, secrets: SecretBox, webhook_id: int) -> list[bytes]:
    """The raw keys that verify the webhook's signatures now; empty where there is no such webhook."""
    found = rows(
        connection,
        "select signing_secret_encrypted, case when previous_secret_until > now() then previous_secret_encrypted end"
        " from webhooks where id = %(id)s",
        {"id": webhook_id},
    )
    return [secrets.signing_key(encrypted) for row in found for encrypted in row if encrypted]


def rotate_secrets(connection: Connection, secrets: SecretBox, after: int) -> tuple[int, int]:
    """Encrypts the secrets of the next 500 webhooks with the newest key; returns their number and the last id."""
    found = rows(connection, _SECRETS, {"after": after})
    for id_, *encrypted in found:
        auth_header, current, previous = (secrets.rotate(secret) if secret else None for secret in encrypted)
        rows(
            connection,
            _STORE_SECRETS,
            {"id": id_, "auth_header": auth_header, "current": current, "previous": previous},
        )
    return len(found), found[-1][0] if found else after


def _parameters(secrets: SecretBox, attributes: dict[str, Any]) -> dict[str, Any]:
    auth_header = attributes.get("auth_header")
    events: Sequence[str] = attributes["events"]
    return {
        "webhook_url": attributes["webhook_url"],
        "auth_header": secrets.close(auth_header) if auth_header else None,
        "active": attributes["active"],
        "events": list(events),
        "payload_version": attributes["payload_version"],
    }


def _webhook(row: Row, secrets: SecretBox) -> Webhook:
    return Webhook(
        id=row[0],
        account_slug=row[1],
        failed_deliveries_uuid=row[2],
        webhook_url=row[3],
        auth_header=secrets.open(row[4]) if row[4] else None,
        active=row[5],
        events=tuple(row[6]),
        payload_version=PayloadVersion(row[7]),
        signing_secret=secrets.open(row[8]),
        created_at=row[9],
        updated_at=row[10],
    )
