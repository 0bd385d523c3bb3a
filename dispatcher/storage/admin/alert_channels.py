"""Channels of alerts. E-mail addresses are stored in plain, URLs and signing secrets encrypted."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any

from dispatcher.errors import AlertChannelNotFound, InvalidAlertChannel
from dispatcher.model.alert import AlertChannel, AlertKind, ChannelType
from dispatcher.storage.engine import Connection, Row, array, one, rows, scalar, unique
from dispatcher.storage.secrets import SecretBox

_READ = {
    **{one.name: f"c.{one.name}" for one in fields(AlertChannel)},
    "target": "coalesce(c.email, c.url_encrypted)",
    "signing_secret": "c.signing_secret_encrypted",
}
COLUMNS = ", ".join(_READ.values())
_WRITTEN = ("name", "type", "email", "url_encrypted", "signing_secret_encrypted", "alerts", "failing_after_minutes",
            "active")  # fmt: skip
_VALUES = ", ".join(f"%({name})s" for name in _WRITTEN)
_OWNED = "c.account_id is not distinct from %(account_id)s::int"

_CREATE = f"""
insert into dispatcher.alert_channels as c (account_id, {", ".join(_WRITTEN)}) values (%(account_id)s, {_VALUES})
returning {COLUMNS}
"""
# Whoever edits it has acted: what could not be sent is sent soon.
_EDIT = f"""
update dispatcher.alert_channels c
set ({", ".join(_WRITTEN)}) = ({_VALUES}), updated_at = dispatcher.now(), failures = 0, last_error = null,
    due_at = case when failures > 0 then dispatcher.now() else due_at end
where id = %(id)s and {_OWNED} returning {COLUMNS}
"""
# Index: alert_channels_by_account.
_LIST = f"""
select {COLUMNS} from dispatcher.alert_channels c where {_OWNED} and c.id > %(after)s order by c.id limit %(limit)s
"""
_FIND = f"select {COLUMNS} from dispatcher.alert_channels c where c.id = %(id)s and {_OWNED}"
_DELETE = f"delete from dispatcher.alert_channels c where c.id = %(id)s and {_OWNED} returning c.id"
_DELETE_EMAIL = """
delete from dispatcher.alert_channels where account_id = %(account_id)s and lower(email) = lower(%(email)s)
"""
_COUNT = f"select count(*) from dispatcher.alert_channels c where {_OWNED}"
_TEST = f"""
update dispatcher.alert_channels c set tested_at = dispatcher.now()
where c.id = %(id)s and {_OWNED} and (tested_at is null or tested_at < dispatcher.now() - interval '1 minute')
returning id
"""
_SECRETS = """
select id, url_encrypted, signing_secret_encrypted from dispatcher.alert_channels
where url_encrypted is not null for update
"""
_STORE_SECRETS = """
update dispatcher.alert_channels set url_encrypted = %(url)s, signing_secret_encrypted = %(secret)s where id = %(id)s
"""


def create(
    connection: Connection, secrets: SecretBox, account_id: int | None, attributes: Mapping[str, Any]
) -> AlertChannel:
    """A new channel of the account, None: of the operators; raises InvalidAlertChannel (`name`)."""
    with _unique_name():
        row = rows(connection, _CREATE, account_id=account_id, **_stored(attributes, secrets))[0]
    return read_channel(row, secrets)


def edit(
    connection: Connection, secrets: SecretBox, before: AlertChannel, attributes: Mapping[str, Any]
) -> AlertChannel:
    """Stores all attributes; raises AlertChannelNotFound, InvalidAlertChannel (`name`)."""
    whose = {"id": before.id, "account_id": before.account_id}
    with _unique_name():
        row = one(connection, AlertChannelNotFound(before.id), _EDIT, **whose, **_stored(attributes, secrets))
    return read_channel(row, secrets)


def list_all(
    connection: Connection, secrets: SecretBox, account_id: int | None, *, after: int = 0, limit: int | None = None
) -> list[AlertChannel]:
    """The account's channels, None: the operators', oldest first."""
    page = rows(connection, _LIST, account_id=account_id, after=after, limit=limit)
    return [read_channel(row, secrets) for row in page]


def find(connection: Connection, secrets: SecretBox, account_id: int | None, id_: int) -> AlertChannel:
    """One of them; raises AlertChannelNotFound."""
    return read_channel(one(connection, AlertChannelNotFound(id_), _FIND, id=id_, account_id=account_id), secrets)


def count(connection: Connection, account_id: int | None) -> int:
    """How many there are."""
    return int(scalar(connection, _COUNT, account_id=account_id))


def delete(connection: Connection, account_id: int | None, id_: int) -> None:
    """Deletes one of them; raises AlertChannelNotFound."""
    one(connection, AlertChannelNotFound(id_), _DELETE, id=id_, account_id=account_id)


def delete_email(connection: Connection, account_id: int, email: str) -> None:
    """Deletes those that go to the address of somebody who is no user any more."""
    rows(connection, _DELETE_EMAIL, account_id=account_id, email=email)


def claim_test(connection: Connection, account_id: int | None, id_: int) -> bool:
    """Whether it may be tested now: once a minute."""
    return scalar(connection, _TEST, id=id_, account_id=account_id) is not None


def rotate_secrets(connection: Connection, secrets: SecretBox) -> None:
    """Encrypts all URLs and signing secrets with the newest key."""
    for id_, url, secret in rows(connection, _SECRETS):
        rotated = {"url": secrets.rotate(url), "secret": secret and secrets.rotate(secret)}
        rows(connection, _STORE_SECRETS, id=id_, **rotated)


def read_channel(row: Row, secrets: SecretBox) -> AlertChannel:
    """From COLUMNS; raises SecretDecryptionFailed."""
    stored = dict(zip(_READ, row, strict=True))
    type_, secret = ChannelType(stored["type"]), stored["signing_secret"]
    return AlertChannel(
        **stored
        | {
            "type": type_,
            "target": stored["target"] if type_ is ChannelType.EMAIL else secrets.open(stored["target"]),
            "signing_secret": secret and secrets.open(secret),
            "alerts": tuple(AlertKind(kind) for kind in stored["alerts"]),
        },
    )


def _stored(attributes: Mapping[str, Any], secrets: SecretBox) -> dict[str, Any]:
    is_email, secret = attributes["type"] == ChannelType.EMAIL, attributes["signing_secret"]
    return {
        **{name: attributes[name] for name in ("name", "failing_after_minutes", "active")},
        "type": str(attributes["type"]),
        "alerts": array(str(kind) for kind in attributes["alerts"]),
        "email": attributes["target"] if is_email else None,
        "url_encrypted": None if is_email else secrets.close(attributes["target"]),
        "signing_secret_encrypted": secret and secrets.close(secret),
    }


def _unique_name() -> AbstractContextManager[None]:
    return unique("alert_channels_name_is_unique", InvalidAlertChannel({"name": ["is that of another channel"]}))
