"""Webhooks: who wants which events, with secrets encrypted. Never deleted, only marked: attempts point to them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dispatcher.errors import WebhookNotFound
from dispatcher.model.delivery import State
from dispatcher.model.webhook import Ordering, PayloadVersion, Signing, SigningSecret, Webhook
from dispatcher.storage.engine import Connection, Row, array, rows
from dispatcher.storage.pipeline.transitions import end, legal
from dispatcher.storage.secrets import SecretBox, new_signing_secret

CANCELLED_AT_ONCE = 20_000
"""Deliveries that one statement cancels, in about 0.2 s: while a webhook is deleted, fan-outs to it wait."""

_COLUMNS = """w.id, a.slug, w.failed_deliveries_uuid, w.webhook_url, w.auth_header_encrypted, w.active, w.events,
    w.payload_version, w.signing_secret_encrypted, w.created_at, w.updated_at, w.client_id, w.description, w.rate_limit,
    w.signing, w.ordering, w.superseding, w.deactivated_at, w.deactivated_reason"""

_INSERT = f"""
with w as (
    insert into webhooks (account_id, webhook_url, auth_header_encrypted, signing_secret_encrypted, active, events,
        payload_version, description, rate_limit, signing, ordering, superseding, client_id)
    values (%(account_id)s, %(webhook_url)s, %(auth_header)s, %(secret)s, %(active)s, %(events)s, %(payload_version)s,
        %(description)s, %(rate_limit)s, %(signing)s, %(ordering)s, %(superseding)s, %(client_id)s)
    returning *)
select {_COLUMNS} from w join accounts a on a.id = w.account_id
"""

_LIST = f"""
select {_COLUMNS} from webhooks w join accounts a on a.id = w.account_id
where w.account_id = %(account_id)s and w.deleted_at is null
    and (%(client_id)s::int is null or w.client_id = %(client_id)s)
order by w.id offset %(offset)s limit %(limit)s
"""

_FIND = f"""
select {_COLUMNS} from webhooks w join accounts a on a.id = w.account_id
where w.id = %(id)s and w.account_id = %(account_id)s and w.deleted_at is null
    and (%(client_id)s::int is null or w.client_id = %(client_id)s)
"""

# Index: the unique one of failed_deliveries_uuid.
_BY_UUID = """
select id from webhooks where failed_deliveries_uuid = %(uuid)s and account_id = %(account_id)s
    and client_id = %(client_id)s and deleted_at is null
"""

_EDIT = f"""
with w as (
    update webhooks set webhook_url = %(webhook_url)s, auth_header_encrypted = %(auth_header)s, active = %(active)s,
        events = %(events)s, payload_version = %(payload_version)s, description = %(description)s,
        rate_limit = %(rate_limit)s, signing = %(signing)s, ordering = %(ordering)s, superseding = %(superseding)s,
        failing_since = case when not %(active)s then failing_since end,
        deactivated_at = case when not %(active)s then deactivated_at end,
        deactivated_reason = case when not %(active)s then deactivated_reason end, updated_at = now()
    where id = %(id)s and account_id = %(account_id)s and deleted_at is null returning *)
select {_COLUMNS} from w join accounts a on a.id = w.account_id
"""

# `for update`, because a fan-out or a replay that has just matched the webhook holds it `for key share`: its deliveries
# are committed before they are looked for here. A plain update would not wait for it, nor hold up the next.
_DELETE = """
update webhooks set deleted_at = now(), active = false, updated_at = now()
where id = any (array (
    select id from webhooks
    where id = %(id)s and account_id = %(account_id)s and deleted_at is null
        and (%(client_id)s::int is null or client_id = %(client_id)s)
    for update))
returning id
"""

_DELETE_OF_CLIENT = """
update webhooks set deleted_at = now(), active = false, updated_at = now()
where id = any (array (
    select id from webhooks where client_id = %(client_id)s and deleted_at is null order by id for update))
returning id
"""

# What a drain holds right now is cancelled too; its 2xx still makes it delivered. Index: deliveries_due.
_CANCEL = f"""
update deliveries set {end(State.CANCELLED)}
where finished_on is null and {legal("state", State.CANCELLED)} and id = any (array (
    select id from deliveries_waiting where webhook_id = any (%(ids)s::int[]) limit %(limit)s))
"""

_MARK_FAILING = """
update webhooks set failing_since = dispatcher_now() where id = any (%(ids)s::int[]) and failing_since is null
"""

_MARK_RECOVERED = (
    "update webhooks set failing_since = null where id = any (%(ids)s::int[]) and failing_since is not null"
)

_DEACTIVATE = """
update webhooks set active = false, deactivated_at = dispatcher_now(), deactivated_reason = %(reason)s,
    updated_at = now()
where id = %(id)s and active and deleted_at is null
returning account_id, webhook_url, deactivated_at
"""

# Index: webhooks_by_account.
_SUBSCRIBED = """
select exists (
    select from webhooks
    where account_id = %(account_id)s and deleted_at is null and active and %(name)s = any (events))
"""

_SIGNING_WITH = """
select signing_secret_encrypted, case when previous_secret_until > now() then previous_secret_until end
from webhooks where id = %(id)s and account_id = %(account_id)s and deleted_at is null
    and (%(client_id)s::int is null or client_id = %(client_id)s)
"""

_ROTATE = """
update webhooks set signing_secret_encrypted = %(secret)s, previous_secret_encrypted = signing_secret_encrypted,
    previous_secret_until = now() + %(valid_for)s::interval, updated_at = now()
where id = %(id)s and account_id = %(account_id)s and deleted_at is null
    and (%(client_id)s::int is null or client_id = %(client_id)s)
returning signing_secret_encrypted, case when previous_secret_until > now() then previous_secret_until end
"""

# Walks webhooks_pkey from its end.
_NEWEST_SECRETS = """
select auth_header_encrypted, signing_secret_encrypted from webhooks where deleted_at is null order by id desc limit 1
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
    """A new webhook with a new signing secret; `attributes` as `dispatcher.webhooks.edit` has checked them."""
    parameters = {**_parameters(secrets, attributes), "account_id": account_id}
    return _webhook(rows(connection, _INSERT, parameters | {"secret": secrets.close(new_signing_secret())})[0], secrets)


def list_for_account(
    connection: Connection,
    secrets: SecretBox,
    account_id: int,
    *,
    client_id: int | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> list[Webhook]:
    """The account's webhooks, oldest first; with `client_id` only that client's, with `limit` a page of them."""
    parameters = {"account_id": account_id, "client_id": client_id, "offset": offset, "limit": limit}
    return [_webhook(row, secrets) for row in rows(connection, _LIST, parameters)]


def find(
    connection: Connection, secrets: SecretBox, account_id: int, webhook_id: int, *, client_id: int | None = None
) -> Webhook:
    """One webhook of the account; raises WebhookNotFound, with `client_id` also for one of another client."""
    found = rows(connection, _FIND, {"account_id": account_id, "id": webhook_id, "client_id": client_id})
    if not found:
        raise WebhookNotFound(webhook_id)
    return _webhook(found[0], secrets)


def id_by_uuid(connection: Connection, account_id: int, client_id: int, uuid: UUID) -> int | None:
    """The id of the client's webhook with that `failed_deliveries_uuid`."""
    found = rows(connection, _BY_UUID, {"account_id": account_id, "client_id": client_id, "uuid": uuid})
    return found[0][0] if found else None


def edit(
    connection: Connection, secrets: SecretBox, account_id: int, webhook_id: int, attributes: dict[str, Any]
) -> Webhook:
    """Stores the webhook's attributes, all of them; raises WebhookNotFound."""
    parameters = {**_parameters(secrets, attributes), "account_id": account_id, "id": webhook_id}
    found = rows(connection, _EDIT, parameters)
    if not found:
        raise WebhookNotFound(webhook_id)
    return _webhook(found[0], secrets)


def delete(connection: Connection, account_id: int, webhook_id: int, *, client_id: int | None = None) -> None:
    """Marks the webhook deleted and cancels what waits for it, as `cancel` does; raises WebhookNotFound."""
    if not rows(connection, _DELETE, {"account_id": account_id, "id": webhook_id, "client_id": client_id}):
        raise WebhookNotFound(webhook_id)
    cancel(connection, [webhook_id])


def delete_of_client(connection: Connection, client_id: int) -> int:
    """Deletes all webhooks of a client, in whichever account, as `delete` does; returns how many there were."""
    ids = [id_ for (id_,) in rows(connection, _DELETE_OF_CLIENT, {"client_id": client_id})]
    if ids:
        cancel(connection, ids)
    return len(ids)


def cancel(connection: Connection, webhook_ids: Iterable[int]) -> None:
    """Cancels what waits for deleted webhooks, CANCELLED_AT_ONCE at most: `reconcile` goes on with the rest."""
    rows(connection, _CANCEL, {"ids": array(webhook_ids), "limit": CANCELLED_AT_ONCE})


def mark_failing(connection: Connection, webhook_ids: Iterable[int]) -> None:
    """They fail from now on, unless they did before."""
    rows(connection, _MARK_FAILING, {"ids": array(webhook_ids)})


def mark_recovered(connection: Connection, webhook_ids: Iterable[int]) -> None:
    """They have just succeeded."""
    rows(connection, _MARK_RECOVERED, {"ids": array(webhook_ids)})


def deactivate(connection: Connection, webhook_id: int, reason: str) -> tuple[int, str, datetime] | None:
    """Makes it inactive and keeps the reason; returns its account's id, URL and the time, None where it was already."""
    found = rows(connection, _DEACTIVATE, {"id": webhook_id, "reason": reason})
    return (found[0][0], found[0][1], found[0][2]) if found else None


def account_of(connection: Connection, webhook_id: int) -> tuple[int, str]:
    """The id of the account whose webhook it is, and its URL."""
    id_, url = rows(connection, "select account_id, webhook_url from webhooks where id = %(id)s", {"id": webhook_id})[0]
    return id_, url


def has_subscriber(connection: Connection, account_id: int, event_name: str) -> bool:
    """Whether an active webhook of the account subscribed to the event."""
    return bool(rows(connection, _SUBSCRIBED, {"account_id": account_id, "name": event_name})[0][0])


def signing_keys(connection: Connection, secrets: SecretBox, webhook_id: int) -> list[bytes]:
    """The raw keys that verify the webhook's signatures now; empty where there is no such webhook."""
    found = rows(
        connection,
        "select signing_secret_encrypted, case when previous_secret_until > now() then previous_secret_encrypted end"
        " from webhooks where id = %(id)s",
        {"id": webhook_id},
    )
    return [secrets.signing_key(encrypted) for row in found for encrypted in row if encrypted]


def signing_secret(
    connection: Connection, secrets: SecretBox, account_id: int, webhook_id: int, *, client_id: int | None = None
) -> SigningSecret:
    """The secret that signs; raises WebhookNotFound, as `find` does."""
    parameters = {"id": webhook_id, "account_id": account_id, "client_id": client_id}
    return _signing_secret(rows(connection, _SIGNING_WITH, parameters), secrets, webhook_id)


def rotate_signing_secret(
    connection: Connection,
    secrets: SecretBox,
    account_id: int,
    webhook_id: int,
    valid_for: timedelta,
    *,
    client_id: int | None = None,
) -> SigningSecret:
    """A new secret; the one before signs beside it for `valid_for`, an older one no more. Raises WebhookNotFound."""
    parameters = {
        "id": webhook_id,
        "account_id": account_id,
        "client_id": client_id,
        "secret": secrets.close(new_signing_secret()),
        "valid_for": valid_for,
    }
    return _signing_secret(rows(connection, _ROTATE, parameters), secrets, webhook_id)


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


def check_newest(connection: Connection, secrets: SecretBox) -> None:
    """Raises SecretDecryptionFailed where the newest webhook's secrets cannot be opened; passes where there is none."""
    for row in rows(connection, _NEWEST_SECRETS):
        for encrypted in row:
            if encrypted:
                secrets.open(encrypted)


def _parameters(secrets: SecretBox, attributes: dict[str, Any]) -> dict[str, Any]:
    auth_header = attributes.get("auth_header")
    events: Sequence[str] = attributes["events"]
    return {
        "webhook_url": attributes["webhook_url"],
        "auth_header": secrets.close(auth_header) if auth_header else None,
        "active": attributes["active"],
        "events": list(events),
        "payload_version": attributes["payload_version"],
        "description": attributes.get("description"),
        "rate_limit": attributes.get("rate_limit"),
        "signing": attributes.get("signing", Signing.STANDARD),
        "ordering": attributes.get("ordering", Ordering.NONE),
        "superseding": attributes.get("superseding", False),
        "client_id": attributes.get("client_id"),
    }


def _signing_secret(found: list[Row], secrets: SecretBox, webhook_id: int) -> SigningSecret:
    if not found:
        raise WebhookNotFound(webhook_id)
    return SigningSecret(secret=secrets.open(found[0][0]), previous_valid_until=found[0][1])


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
        client_id=row[11],
        description=row[12],
        rate_limit=row[13],
        signing=Signing(row[14]),
        ordering=Ordering(row[15]),
        superseding=row[16],
        deactivated_at=row[17],
        deactivated_reason=row[18],
    )
