"""Channels of alerts as their owners create, change, test and delete them, for every front door.

Mail goes to nobody who did not ask for it. People of an account choose among the addresses of its users, whom the
company has created; any other address is for the company (its programs, commands and operators) to set.
"""

from collections.abc import Collection, Mapping
from typing import Any

from marshmallow import ValidationError

from dispatcher.alerts.send import send
from dispatcher.errors import AlertChannelNotFound, InvalidAlertChannel, TooManyTestAlerts
from dispatcher.model.alert import OF_ACCOUNTS, OF_OPERATORS, AlertChannel, AlertKind, ChannelType
from dispatcher.schemas.api.alert_channel import AlertChannelSchema
from dispatcher.schemas.errors import texts_by_field
from dispatcher.sender.pool import SenderPool
from dispatcher.settings import Settings
from dispatcher.storage.admin import alert_channels, audit
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.secrets import new_signing_secret

MOST = 20
"""Channels of one account."""
FAILING_AFTER_MINUTES = 15
"""By default: longer than a restart or a deployment takes."""
WRITABLE = ("name", "type", "target", "alerts", "failing_after_minutes", "active")

_schema = AlertChannelSchema()
_OF_OPERATORS_ALONE = {AlertKind.BACKLOG, AlertKind.OUTBOX}


def create_channel(
    storage: Storage,
    account_id: int | None,
    attributes: Mapping[str, Any],
    *,
    addresses: Collection[str] | None = None,
) -> AlertChannel:
    """A new channel of the account, None: of the operators. Raises InvalidAlertChannel.

    `addresses`: the only ones that whoever asks may set; None: any.
    """
    checked = checked_attributes(account_id, None, attributes, addresses)

    def create(connection: Connection) -> AlertChannel:
        if alert_channels.count(connection, account_id) >= MOST:
            raise InvalidAlertChannel({"name": [f"cannot be added: there are {MOST} channels already"]})
        secret = new_signing_secret() if checked["type"] == ChannelType.WEBHOOK else None
        created = alert_channels.create(connection, storage.secrets, account_id, checked | {"signing_secret": secret})
        shown = {name: _shown(created, name) for name in WRITABLE}
        audit.record(connection, "alert_channel.created", created.id, account_id=account_id, attributes=shown)
        return created

    return storage.transact(create)


def edit_channel(
    storage: Storage,
    account_id: int | None,
    channel_id: int,
    changes: Mapping[str, Any],
    *,
    addresses: Collection[str] | None = None,
) -> AlertChannel:
    """The channel with `changes`; raises AlertChannelNotFound, InvalidAlertChannel."""

    def edit(connection: Connection) -> AlertChannel:
        before = alert_channels.find(connection, storage.secrets, account_id, channel_id)
        checked = checked_attributes(account_id, before, changes, addresses)
        secret = {"signing_secret": before.signing_secret}
        edited = alert_channels.edit(connection, storage.secrets, before, checked | secret)
        if changed := differences(before, checked):
            audit.record(connection, "alert_channel.updated", channel_id, account_id=account_id, changes=changed)
        return edited

    return storage.transact(edit)


def delete_channel(storage: Storage, account_id: int | None, channel_id: int) -> None:
    """Deletes the channel; raises AlertChannelNotFound."""

    def delete(connection: Connection) -> None:
        alert_channels.delete(connection, account_id, channel_id)
        audit.record(connection, "alert_channel.deleted", channel_id, account_id=account_id)

    storage.transact(delete)


def send_test(
    storage: Storage, senders: SenderPool, settings: Settings, account_id: int | None, channel_id: int
) -> str | None:
    """Sends a test at once, and waits for it; returns why it was not taken, None where it was.

    Raises AlertChannelNotFound, and TooManyTestAlerts within a minute of the last one.
    """
    channel = storage.read(alert_channels.find, storage.secrets, account_id, channel_id)
    if not storage.transact(alert_channels.claim_test, account_id, channel_id):
        raise TooManyTestAlerts
    for _, error in send({channel_id: (channel, ())}, senders, settings):
        return error
    raise AlertChannelNotFound(channel_id)


def checked_attributes(
    account_id: int | None,
    before: AlertChannel | None,
    changes: Mapping[str, Any],
    addresses: Collection[str] | None = None,
) -> dict[str, Any]:
    """All that is stored of a channel, with `changes`; raises InvalidAlertChannel."""
    of_whom = OF_OPERATORS if account_id is None else OF_ACCOUNTS
    kept: dict[str, Any] = {"alerts": [*of_whom], "failing_after_minutes": FAILING_AFTER_MINUTES, "active": True}
    requested = dict(changes)
    if before is not None:
        kept = {name: getattr(before, name) for name in WRITABLE}
        kept |= {"type": str(before.type), "alerts": [*before.alerts]}
        if requested.get("target") == before.shown_target:  # it was shown so, and is written back
            del requested["target"]
    try:
        checked: dict[str, Any] = _schema.load(kept | requested)
    except ValidationError as error:
        raise InvalidAlertChannel(texts_by_field(error)) from None
    checked["target"] = checked.pop("shown_target")
    if before is not None and checked["type"] != before.type:
        raise InvalidAlertChannel({"type": ["cannot be changed"]})
    if account_id is not None and _OF_OPERATORS_ALONE & set(checked["alerts"]):
        raise InvalidAlertChannel({"alerts": [f"must be among {', '.join(OF_ACCOUNTS)}"]})
    is_new = before is None or before.target != checked["target"]
    if addresses is not None and checked["type"] == "email" and is_new and checked["target"] not in addresses:
        raise InvalidAlertChannel({"target": ["must be the e-mail address of a user of the account"]})
    return checked


def differences(before: AlertChannel, checked: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """Attribute → before and after, of those that differ; of a URL only the host."""
    after = {name: [*value] if isinstance(value, tuple | list) else value for name, value in checked.items()}
    was = {name: [*value] if isinstance(value := getattr(before, name), tuple) else value for name in after}
    return {
        name: ("(hidden)", "(hidden)") if name == "target" and before.type != ChannelType.EMAIL else (was[name], value)
        for name, value in after.items()
        if was[name] != value
    }


def _shown(channel: AlertChannel, name: str) -> object:
    return channel.shown_target if name == "target" else getattr(channel, name)
