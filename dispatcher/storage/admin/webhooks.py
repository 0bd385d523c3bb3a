"""Webhooks, and what they subscribe to, with secrets encrypted. Never deleted, only marked: attempts point to them."""

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dispatcher.errors import InvalidWebhook, WebhookNotFound
from dispatcher.model.delivery import State
from dispatcher.model.options import OPTION_DEFAULTS
from dispatcher.model.webhook import Ordering, PayloadVersion, Signing, SigningSecret, Webhook
from dispatcher.schemas.api.signatures import V1A
from dispatcher.schemas.wildcards import as_like, is_wildcard
from dispatcher.storage.engine import Connection, Row, array, one, rows, scalar, scalars, unique
from dispatcher.storage.options import read_options, rotate_options, write_options
from dispatcher.storage.pipeline.transitions import end, legal
from dispatcher.storage.secrets import SecretBox, new_signing_secret, with_key_pair

CANCELLED_AT_ONCE = 20_000
"""Deliveries that one statement cancels, in about 0.2 s: while a webhook is deleted, fan-outs to it wait."""

DEFAULTS: Mapping[str, Any] = {
    "active": True,
    "auth_header": None,
    "uid": None,
    "description": None,
    "tags": (),
    "metadata": {},
    "payload_version": PayloadVersion.V3,
    "rate_limit": None,
    "signing": Signing.STANDARD,
    "ordering": Ordering.NONE,
    "superseding": False,
    "delivery": "push",
    "filter": None,
    **OPTION_DEFAULTS,
}
"""The attributes that a new webhook need not name."""
WRITABLE = ("webhook_url", "events", *DEFAULTS)

_WRITTEN = (
    "webhook_url", "auth_header_encrypted", "event_patterns", "filter_path", "options", "certificate_expires_at", *(
    name for name in ("events", *DEFAULTS) if name not in ("auth_header", "delivery", *OPTION_DEFAULTS)
))  # fmt: skip
"""Columns that each write sets, of the values of `_parameters`."""
_VALUES = ", ".join(f"%({name})s" for name in _WRITTEN)

_FILTER_PATH = "coalesce(%(filter_path)s, case when %(filter)s is not null then filter_path end)"
"""In an edit: a filter that was not compiled again is unchanged."""

_READ = {
    **{one.name: f"w.{one.name}" for one in fields(Webhook) if one.name not in OPTION_DEFAULTS},
    "account_slug": "a.slug",
    "auth_header": "w.auth_header_encrypted",
    "signing_secret": "w.signing_secret_encrypted",
    "public_key": "w.signing_secret_encrypted",
    "options": "w.options::text",
}
_COLUMNS = ", ".join(_READ.values())

# With a client's id, only that client's.
_OWNED = """account_id = %(account_id)s and deleted_at is null
    and (%(client_id)s::int is null or client_id = %(client_id)s)"""

_INSERT = f"""
with w as (
    insert into dispatcher.webhooks (account_id, client_id, signing_secret_encrypted, {", ".join(_WRITTEN)})
    values (%(account_id)s, %(client_id)s, %(secret)s, {_VALUES}) returning *)
select {_COLUMNS} from w join dispatcher.accounts a on a.id = w.account_id
"""

_LIST = f"""
select {_COLUMNS} from dispatcher.webhooks w join dispatcher.accounts a on a.id = w.account_id where {_OWNED}
    and w.id > %(after)s and (%(tag)s::text is null or %(tag)s = any (w.tags))
order by w.id offset %(offset)s limit %(limit)s
"""

_FIND = (
    f"select {_COLUMNS} from dispatcher.webhooks w join dispatcher.accounts a on a.id = w.account_id"
    f" where w.id = %(id)s and {_OWNED}"
)

# Index: the unique one of failed_deliveries_uuid.
_BY_UUID = f"select id from dispatcher.webhooks where failed_deliveries_uuid = %(uuid)s and {_OWNED}"

_EDIT = f"""
with w as (
    update dispatcher.webhooks
        set ({", ".join(_WRITTEN)}) = ({_VALUES.replace("%(filter_path)s", _FILTER_PATH)}),
        failing_since = case when not %(active)s then failing_since end,
        deactivated_at = case when not %(active)s then deactivated_at end,
        deactivated_reason = case when not %(active)s then deactivated_reason end, updated_at = now()
    where id = %(id)s and account_id = %(account_id)s and deleted_at is null returning *)
select {_COLUMNS} from w join dispatcher.accounts a on a.id = w.account_id
"""

# `for update`, because a fan-out or a replay that has just matched the webhook holds it `for key share`: its deliveries
# are committed before they are selected here. A plain update would not wait for it, nor hold up the next.
_DELETE = """
update dispatcher.webhooks set deleted_at = now(), active = false, updated_at = now()
where id = any (array (select id from dispatcher.webhooks where {which} order by id for update))
returning id
"""
_DELETE_ONE = _DELETE.format(which=f"id = %(id)s and {_OWNED}")
_DELETE_OF_CLIENT = _DELETE.format(which="client_id = %(client_id)s and deleted_at is null")
_DELETE_OF_ACCOUNT = _DELETE.format(which="account_id = %(account_id)s and deleted_at is null")

# What a drain holds right now is cancelled too; its 2xx still makes it delivered. Index: deliveries_due.
_CANCEL = f"""
update dispatcher.deliveries set {end(State.CANCELLED)}
where finished_on is null and {legal("state", State.CANCELLED)} and id = any (array (
    select id from dispatcher.deliveries_waiting where webhook_id = any (%(ids)s::int[]) limit %(limit)s))
"""

_MARK_FAILING = """
update dispatcher.webhooks set failing_since = dispatcher.now()
where id = any (%(ids)s::int[]) and failing_since is null
"""

_MARK_RECOVERED = (
    "update dispatcher.webhooks set failing_since = null where id = any (%(ids)s::int[]) and failing_since is not null"
)

_DEACTIVATE = """
update dispatcher.webhooks set active = false, deactivated_at = dispatcher.now(), deactivated_reason = %(reason)s,
    updated_at = now()
where id = %(id)s and active and deleted_at is null
returning account_id, webhook_url, deactivated_at
"""

# Index: webhooks_by_account.
_SUBSCRIBED = """
select exists (
    select from dispatcher.webhooks
    where account_id = %(account_id)s and deleted_at is null and active and %(name)s = any (events))
"""

_SIGNING = "signing_secret_encrypted, case when previous_secret_until > now() then previous_secret_until end"

_SIGNING_WITH = f"select {_SIGNING} from dispatcher.webhooks where id = %(id)s and {_OWNED}"

_ROTATE = f"""
update dispatcher.webhooks
    set signing_secret_encrypted = %(secret)s, previous_secret_encrypted = signing_secret_encrypted,
    previous_secret_until = now() + %(valid_for)s::interval, updated_at = now()
where id = %(id)s and {_OWNED} returning {_SIGNING}
"""

_SCHEMES = f"""
select options -> 'signature_schemes' from dispatcher.webhooks where id = %(id)s and {_OWNED} for update
"""

_STORED = "select signing_secret_encrypted from dispatcher.webhooks where id = %(id)s"

_ADD_KEY_PAIR = "update dispatcher.webhooks set signing_secret_encrypted = %(secret)s where id = %(id)s"

_KEYS = "signing_secret_encrypted, case when previous_secret_until > now() then previous_secret_encrypted end"
"""Those that sign now, the newest first."""

# Index: the unique one of failed_deliveries_uuid.
_PUBLIC_KEYS = f"""
select {_KEYS}
from dispatcher.webhooks where failed_deliveries_uuid = %(uuid)s and deleted_at is null
"""

_SIGNING_KEYS = f"""
select {_KEYS}
from dispatcher.webhooks where %(id)s::int is null or id = %(id)s order by id desc limit 100
"""

# Walks webhooks_pkey from its end.
_NEWEST_SECRETS = """
select auth_header_encrypted, signing_secret_encrypted, options::text from dispatcher.webhooks where deleted_at is null
order by id desc limit 1
"""

_SECRETS = """
select id, options::text, auth_header_encrypted, signing_secret_encrypted, previous_secret_encrypted
from dispatcher.webhooks
where id > %(after)s order by id limit 500 for update
"""

_STORE_SECRETS = """
update dispatcher.webhooks set auth_header_encrypted = %(auth_header)s, signing_secret_encrypted = %(current)s,
    previous_secret_encrypted = %(previous)s, options = %(options)s where id = %(id)s
"""


def create(
    connection: Connection,
    secrets: SecretBox,
    account_id: int,
    attributes: Mapping[str, Any],
    *,
    signing_secret: str | None = None,
) -> Webhook:
    """A new webhook with a new signing secret; `attributes` as `dispatcher.webhooks.edit` has checked them.

    `signing_secret`: one from elsewhere (`secrets.foreign_secret`), with a key pair where that signs.
    """
    parameters = {"client_id": None, **_parameters(attributes, secrets)}
    new = new_signing_secret()
    secret = secrets.close(signing_secret or (with_key_pair(new) if _needs_key_pair(attributes) else new))
    with _unique_uid():
        return _webhook(rows(connection, _INSERT, **parameters, account_id=account_id, secret=secret)[0], secrets)


def list_for_account(
    connection: Connection,
    secrets: SecretBox,
    account_id: int,
    *,
    client_id: int | None = None,
    tag: str | None = None,
    offset: int = 0,
    after: int = 0,
    limit: int | None = None,
) -> list[Webhook]:
    """The account's webhooks, oldest first; with `client_id` only that client's, with `tag` only those that have it.

    A page, of `limit`, begins at an `offset`, or after the webhook with an id.
    """
    which = {"account_id": account_id, "client_id": client_id, "tag": tag}
    page = rows(connection, _LIST, **which, offset=offset, after=after, limit=limit)
    return [_webhook(row, secrets) for row in page]


def find(
    connection: Connection,
    secrets: SecretBox,
    account_id: int,
    webhook_id: int,
    *,
    client_id: int | None = None,
    to_edit: bool = False,
) -> Webhook:
    """One webhook of the account; raises WebhookNotFound, with `client_id` also for one of another client.

    One that is read `to_edit` is nobody else's to edit until the transaction ends. Fan-outs to it do not wait.
    """
    missing, query = WebhookNotFound(webhook_id), f"{_FIND} for no key update of w" if to_edit else _FIND
    return _webhook(one(connection, missing, query, account_id=account_id, id=webhook_id, client_id=client_id), secrets)


def id_by_uuid(connection: Connection, account_id: int, client_id: int, uuid: UUID) -> int | None:
    """The id of the client's webhook with that `failed_deliveries_uuid`."""
    id_: int | None = scalar(connection, _BY_UUID, account_id=account_id, client_id=client_id, uuid=uuid)
    return id_


def edit(
    connection: Connection, secrets: SecretBox, account_id: int, webhook_id: int, attributes: Mapping[str, Any]
) -> Webhook:
    """Stores the webhook's attributes, all of them; raises WebhookNotFound, or InvalidWebhook (`uid`)."""
    parameters = {**_parameters(attributes, secrets), "account_id": account_id, "id": webhook_id}
    with _unique_uid():
        edited = _webhook(one(connection, WebhookNotFound(webhook_id), _EDIT, **parameters), secrets)
    if edited.public_key or not _needs_key_pair(attributes):
        return edited
    before = secrets.open(scalar(connection, _STORED, id=webhook_id))
    stored = secrets.close(with_key_pair(before))
    rows(connection, _ADD_KEY_PAIR, id=webhook_id, secret=stored)
    return replace(edited, public_key=secrets.signing_keys(stored).public_key)


def delete(connection: Connection, account_id: int, webhook_id: int, *, client_id: int | None = None) -> None:
    """Marks the webhook deleted and cancels its pending deliveries, as `cancel` does; raises WebhookNotFound."""
    missing = WebhookNotFound(webhook_id)
    one(connection, missing, _DELETE_ONE, account_id=account_id, id=webhook_id, client_id=client_id)
    cancel(connection, [webhook_id])


def delete_of_client(connection: Connection, client_id: int) -> int:
    """Deletes all webhooks of a client, in whichever account, as `delete` does; returns how many there were."""
    ids = scalars(connection, _DELETE_OF_CLIENT, client_id=client_id)
    if ids:
        cancel(connection, ids)
    return len(ids)


def delete_of_account(connection: Connection, account_id: int) -> None:
    """The same of an account, whosever they are."""
    if ids := scalars(connection, _DELETE_OF_ACCOUNT, account_id=account_id):
        cancel(connection, ids)


def cancel(connection: Connection, webhook_ids: Iterable[int]) -> None:
    """Cancels pending deliveries to deleted webhooks, CANCELLED_AT_ONCE at most: `reconcile` goes on with the rest."""
    rows(connection, _CANCEL, ids=array(webhook_ids), limit=CANCELLED_AT_ONCE)


def mark_failing(connection: Connection, webhook_ids: Iterable[int]) -> None:
    """They fail from now on, unless they did before."""
    rows(connection, _MARK_FAILING, ids=array(webhook_ids))


def mark_recovered(connection: Connection, webhook_ids: Iterable[int]) -> None:
    """They have just succeeded."""
    rows(connection, _MARK_RECOVERED, ids=array(webhook_ids))


def deactivate(connection: Connection, webhook_id: int, reason: str) -> tuple[int, str, datetime] | None:
    """Makes it inactive and keeps the reason; returns its account's id, URL and the time, None where it was already."""
    for account_id, url, deactivated_at in rows(connection, _DEACTIVATE, id=webhook_id, reason=reason):
        return account_id, url, deactivated_at
    return None


def account_of(connection: Connection, webhook_id: int) -> tuple[int, str]:
    """The id of the account whose webhook it is, and its URL."""
    sql = "select account_id, webhook_url from dispatcher.webhooks where id = %(id)s"
    account_id, url = rows(connection, sql, id=webhook_id)[0]
    return account_id, url


def has_subscriber(connection: Connection, account_id: int, event_name: str) -> bool:
    """Whether an active webhook of the account subscribed to the event by name, as to operational events."""
    return bool(scalar(connection, _SUBSCRIBED, account_id=account_id, name=event_name))


def signing_keys(connection: Connection, secrets: SecretBox, webhook_id: int | None) -> list[bytes]:
    """The raw keys that verify the webhook's signatures now; empty where there is no such webhook. None: any of 100."""
    stored = rows(connection, _SIGNING_KEYS, id=webhook_id)
    return [secrets.signing_keys(encrypted).hmac for row in stored for encrypted in row if encrypted]


def public_keys(connection: Connection, secrets: SecretBox, uuid: UUID) -> list[str]:
    """`whpk_...` that verify signatures of the webhook with that `failed_deliveries_uuid` now, newest first."""
    stored = (encrypted for row in rows(connection, _PUBLIC_KEYS, uuid=uuid) for encrypted in row if encrypted)
    return [key for encrypted in stored if (key := secrets.signing_keys(encrypted).public_key)]


def signing_secret(
    connection: Connection, secrets: SecretBox, account_id: int, webhook_id: int, *, client_id: int | None = None
) -> SigningSecret:
    """The secret that signs; raises WebhookNotFound, as `find` does."""
    missing = WebhookNotFound(webhook_id)
    row = one(connection, missing, _SIGNING_WITH, account_id=account_id, id=webhook_id, client_id=client_id)
    return _secret(row, secrets)


def rotate_signing_secret(
    connection: Connection,
    secrets: SecretBox,
    account_id: int,
    webhook_id: int,
    valid_for: timedelta,
    *,
    client_id: int | None = None,
) -> SigningSecret:
    """A new secret; the one before signs beside it for `valid_for`, an older one no more. Raises WebhookNotFound.

    Where a key pair signs, that is new too. The secret before need not be readable.
    """
    whose = {"account_id": account_id, "id": webhook_id, "client_id": client_id}
    (schemes,) = one(connection, WebhookNotFound(webhook_id), _SCHEMES, **whose)
    secret = new_signing_secret()
    stored = secrets.close(with_key_pair(secret) if V1A in (schemes or ()) else secret)
    row = one(connection, WebhookNotFound(webhook_id), _ROTATE, **whose, secret=stored, valid_for=valid_for)
    return _secret(row, secrets)


def rotate_secrets(connection: Connection, secrets: SecretBox, after: int) -> tuple[int, int]:
    """Encrypts the secrets of the next 500 webhooks with the newest key; returns their number and the last id."""
    stored = rows(connection, _SECRETS, after=after)
    for id_, options, *encrypted in stored:
        auth_header, current, previous = (secrets.rotate(secret) if secret else None for secret in encrypted)
        rotated = {"auth_header": auth_header, "current": current, "previous": previous}
        rows(connection, _STORE_SECRETS, id=id_, **rotated, options=rotate_options(options, secrets))
    return len(stored), stored[-1][0] if stored else after


def check_newest(connection: Connection, secrets: SecretBox) -> None:
    """Raises SecretDecryptionFailed where the newest webhook's secrets cannot be opened; passes where there is none."""
    for *encrypted, options in rows(connection, _NEWEST_SECRETS):
        for secret in filter(None, encrypted):
            secrets.open(secret)
        rotate_options(options, secrets)  # opens them; one that only a later release knows is no wrong key


def _needs_key_pair(attributes: Mapping[str, Any]) -> bool:
    return V1A in attributes.get("signature_schemes", ())


def _secret(row: Row, secrets: SecretBox) -> SigningSecret:
    keys = secrets.signing_keys(row[0])
    return SigningSecret(secret=keys.secret, public_key=keys.public_key, previous_valid_until=row[1])


def _unique_uid() -> AbstractContextManager[None]:
    return unique("webhooks_uid_is_unique", InvalidWebhook({"uid": ["is another webhook's of the account"]}))


def _parameters(changes: Mapping[str, Any], secrets: SecretBox) -> dict[str, Any]:
    attributes = {**DEFAULTS, **changes}
    auth_header, filter_, certificate = (attributes[name] for name in ("auth_header", "filter", "client_certificate"))
    return {
        "filter_path": None,
        **attributes,
        "auth_header_encrypted": secrets.close(auth_header) if auth_header else None,
        "events": list(attributes["events"]),
        "event_patterns": [as_like(name) for name in attributes["events"] if is_wildcard(name)] or None,
        "tags": list(attributes["tags"]) or None,
        "metadata": json.dumps(attributes["metadata"]) if attributes["metadata"] else None,
        "filter": None if filter_ is None else json.dumps(filter_),
        "options": write_options(attributes, secrets),
        "certificate_expires_at": certificate.expires_at if certificate else None,
    }


def _webhook(row: Row, secrets: SecretBox) -> Webhook:
    stored = dict(zip(_READ, row, strict=True))
    options = read_options(stored.pop("options"), secrets)
    keys = secrets.signing_keys(stored["signing_secret"])
    return Webhook(
        **{name: getattr(options, name) for name in OPTION_DEFAULTS},
        **stored
        | {
            "auth_header": secrets.open(stored["auth_header"]) if stored["auth_header"] else None,
            "events": tuple(stored["events"]),
            "tags": tuple(stored["tags"] or ()),
            "metadata": stored["metadata"] or {},
            "payload_version": PayloadVersion(stored["payload_version"]),
            "signing_secret": keys.secret,
            "public_key": keys.public_key,
            "signing": Signing(stored["signing"]),
            "ordering": Ordering(stored["ordering"]),
        },
    )
