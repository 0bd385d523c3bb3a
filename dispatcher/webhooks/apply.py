"""Event types, accounts, webhooks and channels of alerts as a file describes them: what would change, and the changes.

A webhook is known by its `uid`, or by its URL where it has none; a channel by its `name`. What the file does not name
stays. On request, webhooks are deleted that the list of their account does not name; accounts, event types and channels
never are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from dispatcher import event_types
from dispatcher.access import tenants as accounts
from dispatcher.alerts import channels as alert_use_cases
from dispatcher.errors import AccountNotFound, EventTypeConflict, InvalidFields, InvalidFile
from dispatcher.model.webhook import POLL_URL, Webhook
from dispatcher.schedule.schedule import Schedule
from dispatcher.schemas import active
from dispatcher.schemas.active_catalogues import use_stored
from dispatcher.schemas.stored import StoredType
from dispatcher.settings import Settings
from dispatcher.storage.admin import alert_channels, tenants, webhooks
from dispatcher.storage.admin import event_types as stored_types
from dispatcher.storage.engine import Storage
from dispatcher.webhooks import edit
from dispatcher.webhooks.differences import differences, shown

Checked = TypeVar("Checked")

_NEW = 0
"""In the place of the id of an account that is to be created."""

Path = tuple[str | int, ...]
"""Where in the file."""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What is to be created, changed or deleted. `differences`: attribute → before and after; `notes`: for people."""

    sign: Literal["+", "~", "-"]
    title: str
    differences: Mapping[str, tuple[object, object]]
    make: Callable[[], object]
    notes: Sequence[str] = ()


def plan(
    storage: Storage, schedule: Schedule, settings: Settings, document: Any, *, prunes: bool = False
) -> list[PlannedChange]:
    """What differs from the file, in the order in which it is to be applied; raises InvalidFile.

    `prunes`: webhooks that an account's list does not name are deleted, but for those of its clients.
    """
    entries = _mapping(_mapping(document, ()).get("accounts", {}), ("accounts",))
    unknown = next((key for key in document if key not in ("accounts", "event_types", "alert_channels")), None)
    if unknown is not None:
        raise InvalidFile((unknown,), "is unknown; the file has `accounts`, `event_types` and `alert_channels`")
    changes = _event_types(storage, _mapping(document.get("event_types", {}), ("event_types",)))
    for external_id, entry in entries.items():
        at: Path = ("accounts", external_id)
        attributes = dict(_mapping(entry or {}, at))
        listed, channels = attributes.pop("webhooks", None), attributes.pop("alert_channels", ())
        changes += _account(storage, settings, str(external_id), attributes, at)
        if listed is not None:
            if not isinstance(listed, list):
                raise InvalidFile((*at, "webhooks"), "must be a list")
            here = (*at, "webhooks")
            changes += _webhooks(storage, schedule, settings, str(external_id), listed, here, prunes=prunes)
        changes += _channels(storage, str(external_id), channels, (*at, "alert_channels"))
    changes += _channels(storage, None, document.get("alert_channels", ()), ("alert_channels",))
    return changes


def _channels(storage: Storage, external_id: str | None, listed: Any, at: Path) -> Iterator[PlannedChange]:
    """Channels of an account, None: of the operators. A new webhook's signing secret is not shown."""
    if not isinstance(listed, list | tuple):
        raise InvalidFile(at, "must be a list")
    account = None if external_id is None else _account_id(storage, external_id)
    stored = [] if account == _NEW else storage.read(alert_channels.list_all, storage.secrets, account)
    for number, entry in enumerate(listed):
        here: Path = (*at, number)
        attributes = _mapping(entry, here)
        if any(one.get("name") == attributes.get("name") for one in listed[:number]):
            raise InvalidFile((*here, "name"), "is that of an entry before")
        before = next((one for one in stored if one.name == attributes.get("name")), None)
        checked = _fields(here, partial(alert_use_cases.checked_attributes, account, before, attributes))
        title = f"alert channel {attributes['name']} of {external_id or 'operators'}"
        if before is None:
            target = "(hidden)" if checked["type"] != "email" else checked["target"]
            new = {name: (None, target if name == "target" else value) for name, value in attributes.items()}
            yield PlannedChange("+", title, new, partial(_create_channel, storage, external_id, attributes))
        elif changed := alert_use_cases.differences(before, checked):
            edit_channel = partial(alert_use_cases.edit_channel, storage, account, before.id, attributes)
            yield PlannedChange("~", title, changed, edit_channel)


def _account_id(storage: Storage, external_id: str) -> int:
    """_NEW: it is to be created."""
    try:
        return storage.read(tenants.find, external_id).id
    except AccountNotFound:
        return _NEW


def _create_channel(storage: Storage, external_id: str | None, attributes: Mapping[str, Any]) -> object:
    account_id = None if external_id is None else _account_id(storage, external_id)
    return alert_use_cases.create_channel(storage, account_id, attributes)


def _event_types(storage: Storage, entries: Mapping[str, Any]) -> list[PlannedChange]:
    """Each entry is a type's attributes, or a list of those of its versions. Webhooks may subscribe to new ones."""
    stored = storage.read(stored_types.list_all)
    planned = {(one.name, one.version): one for one in stored}
    changes: list[PlannedChange] = []
    for name, entry in entries.items():
        for number, one in enumerate(entry if isinstance(entry, list) else [entry]):
            at: Path = ("event_types", name, number) if isinstance(entry, list) else ("event_types", name)
            attributes = _mapping(one, at)
            versions = [planned[key] for key in sorted(planned) if key[0] == str(name)]
            after = _event_type(at, versions, str(name), attributes)
            before = planned.get((after.name, after.version))
            planned[after.name, after.version] = after
            if after != before:
                changes.append(_type_change(storage, before, after, attributes))
    use_stored(planned.values(), active().stored.revision)
    return changes


def _event_type(at: Path, versions: list[StoredType], name: str, attributes: Mapping[str, Any]) -> StoredType:
    try:
        checked = _fields(at, lambda: event_types.checked_attributes(name, attributes))
        return _fields(at, lambda: event_types.changed(versions, name, checked))
    except EventTypeConflict as error:
        raise InvalidFile(at, f"cannot be stored: {error}") from None


def _type_change(
    storage: Storage, before: StoredType | None, after: StoredType, attributes: Mapping[str, Any]
) -> PlannedChange:
    names = [name for name in event_types.SHOWN if before is None or getattr(before, name) != getattr(after, name)]
    differences = {name: (before and getattr(before, name), getattr(after, name)) for name in names}
    notes = [f"schema: {change}" for change in event_types.differences(before, after)]
    title = f"event type {after.name} version {after.version}"
    make = partial(event_types.put, storage, after.name, attributes)
    return PlannedChange("+" if before is None else "~", title, differences, make, notes)


def _account(
    storage: Storage, settings: Settings, external_id: str, attributes: Mapping[str, Any], at: Path
) -> Iterator[PlannedChange]:
    checked = _fields(at, partial(accounts.checked_account, external_id, attributes, settings))
    make = partial(accounts.upsert, storage, settings, external_id, attributes)
    try:
        tenant = storage.read(tenants.find, external_id)
    except AccountNotFound:
        new = {name: (None, value) for name, value in checked.items()}
        yield PlannedChange("+", f"account {external_id}", new, make)
        return
    if changed := differences(tenant, checked):
        yield PlannedChange("~", f"account {external_id}", changed, make)


def _webhooks(
    storage: Storage, schedule: Schedule, settings: Settings, external_id: str, listed: list[Any], at: Path, *,
    prunes: bool,
) -> Iterator[PlannedChange]:  # fmt: skip
    try:
        tenant = storage.read(tenants.find, external_id)
        unnamed = storage.read(webhooks.list_for_account, storage.secrets, tenant.id)
    except AccountNotFound:
        unnamed = []

    def later(use_case: Callable[..., object], *arguments: object) -> Callable[[], object]:
        return lambda: use_case(storage.read(tenants.find, external_id).slug, *arguments)  # the account may be new

    create = partial(edit.create_webhook, storage, settings=settings)
    change = partial(edit.edit_webhook, storage, schedule, settings=settings)
    delete = partial(edit.delete_webhook, storage)
    listed = [_with_url(entry) for entry in listed]
    uids = [entry.get("uid") for entry in listed if isinstance(entry, dict)]
    for number, entry in enumerate(listed):
        here = (*at, number)
        attributes = _mapping(entry, here)
        _refuse_second(listed[:number], attributes, here)
        before = _stored(unnamed, attributes, uids, here)
        checked = _fields(here, partial(_checked, before, attributes, settings))
        after = {name: checked[name] for name in attributes}
        title = _title(attributes.get("uid"), attributes.get("webhook_url"), external_id)
        if before is None:
            new = {name: (None, shown(name, value)) for name, value in after.items()}
            yield PlannedChange("+", title, new, later(create, attributes))
            continue
        unnamed.remove(before)
        if changed := differences(before, after):
            yield PlannedChange("~", title, changed, later(change, before.id, attributes))
    for one in unnamed:
        if prunes and one.client_id is None:
            title = _title(one.uid, one.webhook_url, external_id)
            yield PlannedChange("-", title, {}, later(delete, one.id))


def _with_url(entry: Any) -> Any:
    return {"webhook_url": POLL_URL, **entry} if isinstance(entry, dict) and entry.get("delivery") == "poll" else entry


def _checked(before: Webhook | None, attributes: Mapping[str, Any], settings: Settings) -> Mapping[str, Any]:
    return edit.checked_attributes(edit.changed_attributes(before, attributes, settings), before=before)


def _stored(
    candidates: Sequence[Webhook], attributes: Mapping[str, Any], uids: Sequence[object], at: Path
) -> Webhook | None:
    """The webhook that an entry means; None: a new one. One without a uid gets that of the entry with its URL.

    `uids`: those that the list names, whose webhooks no other entry means.
    """
    uid, url = attributes.get("uid"), attributes.get("webhook_url")
    if uid is not None:
        for one in candidates:
            if one.uid == uid:
                return one
    others = [one for one in candidates if one.uid is None or (uid is None and one.uid not in uids)]
    at_url = [one for one in others if one.webhook_url == url]
    if len(at_url) > 1:
        raise InvalidFile((*at, "webhook_url"), f"is the URL of {len(at_url)} webhooks of the account; add a `uid`")
    return at_url[0] if at_url else None


def _refuse_second(earlier: Sequence[Any], attributes: Mapping[str, Any], at: Path) -> None:
    """Two entries for one webhook would change it in turn, at each run."""
    name = "webhook_url" if attributes.get("uid") is None else "uid"
    for one in earlier:
        if one.get(name) == attributes.get(name) and (name == "uid" or one.get("uid") is None):
            raise InvalidFile((*at, name), "is that of an entry before; webhooks with one URL need a `uid` each")


def _title(uid: object, url: object, external_id: str) -> str:
    return f"webhook {shown('webhook_url', url) if uid is None else uid} of {external_id}"


def _fields(at: Path, check: Callable[[], Checked]) -> Checked:
    try:
        return check()
    except InvalidFields as error:
        name, texts = next(iter(error.messages.items()))
        raise InvalidFile((*at, name), ", ".join(texts)) from None


def _mapping(value: Any, at: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidFile(at, "must be a mapping")
    return value
