"""Event types, accounts and webhooks as a file describes them: what would change, and the changes.

A webhook is known by its `uid`, or by its URL where it has none. What the file does not name stays. On request,
webhooks are deleted that the list of their account does not name; accounts and event types never are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from dispatcher import event_types
from dispatcher.access import tenants as accounts
from dispatcher.errors import AccountNotFound, EventTypeConflict, InvalidFields, InvalidFile
from dispatcher.model.webhook import Webhook
from dispatcher.schedule.schedule import Schedule
from dispatcher.schemas import active
from dispatcher.schemas.active_catalogues import use_stored
from dispatcher.schemas.stored import StoredType
from dispatcher.settings import Settings
from dispatcher.storage.admin import event_types as stored_types
from dispatcher.storage.admin import tenants, webhooks
from dispatcher.storage.engine import Storage
from dispatcher.webhooks import edit
from dispatcher.webhooks.differences import differences, shown

Checked = TypeVar("Checked")

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
    """What differs from the file, in the order in which it is to be made; raises InvalidFile.

    `prunes`: webhooks that an account's list does not name are deleted, but for those of its clients.
    """
    entries = _mapping(_mapping(document, ()).get("accounts", {}), ("accounts",))
    unknown = next((key for key in document if key not in ("accounts", "event_types")), None)
    if unknown is not None:
        raise InvalidFile((unknown,), "is unknown; the file has `accounts` and `event_types`")
    changes = _event_types(storage, _mapping(document.get("event_types", {}), ("event_types",)))
    for external_id, entry in entries.items():
        at: Path = ("accounts", external_id)
        given = dict(_mapping(entry or {}, at))
        listed = given.pop("webhooks", None)
        changes += _account(storage, settings, str(external_id), given, at)
        if listed is not None:
            if not isinstance(listed, list):
                raise InvalidFile((*at, "webhooks"), "must be a list")
            changes += _webhooks(storage, schedule, str(external_id), listed, (*at, "webhooks"), prunes=prunes)
    return changes


def _event_types(storage: Storage, entries: Mapping[str, Any]) -> list[PlannedChange]:
    """Each entry is a type's attributes, or a list of those of its versions. Webhooks may subscribe to new ones."""
    stored = storage.read(stored_types.list_all)
    planned = {(one.name, one.version): one for one in stored}
    changes: list[PlannedChange] = []
    for name, entry in entries.items():
        for number, one in enumerate(entry if isinstance(entry, list) else [entry]):
            at: Path = ("event_types", name, number) if isinstance(entry, list) else ("event_types", name)
            given = _mapping(one, at)
            versions = [planned[key] for key in sorted(planned) if key[0] == str(name)]
            after = _event_type(at, versions, str(name), given)
            before = planned.get((after.name, after.version))
            planned[after.name, after.version] = after
            if after != before:
                changes.append(_type_change(storage, before, after, given))
    use_stored(planned.values(), active().stored.revision)
    return changes


def _event_type(at: Path, versions: list[StoredType], name: str, given: Mapping[str, Any]) -> StoredType:
    try:
        checked = _fields(at, lambda: event_types.checked_attributes(name, given))
        return _fields(at, lambda: event_types.changed(versions, name, checked))
    except EventTypeConflict as error:
        raise InvalidFile(at, f"cannot be stored: {error}") from None


def _type_change(
    storage: Storage, before: StoredType | None, after: StoredType, given: Mapping[str, Any]
) -> PlannedChange:
    names = [name for name in event_types.SHOWN if before is None or getattr(before, name) != getattr(after, name)]
    differences = {name: (before and getattr(before, name), getattr(after, name)) for name in names}
    notes = [f"schema: {change}" for change in event_types.differences(before, after)]
    title = f"event type {after.name} version {after.version}"
    make = partial(event_types.put, storage, after.name, given)
    return PlannedChange("+" if before is None else "~", title, differences, make, notes)


def _account(
    storage: Storage, settings: Settings, external_id: str, given: Mapping[str, Any], at: Path
) -> Iterator[PlannedChange]:
    checked = _fields(at, partial(accounts.checked_account, external_id, given, settings))
    make = partial(accounts.upsert, storage, settings, external_id, given)
    try:
        tenant = storage.read(tenants.find, external_id)
    except AccountNotFound:
        new = {name: (None, value) for name, value in checked.items()}
        yield PlannedChange("+", f"account {external_id}", new, make)
        return
    if changed := differences(tenant, checked):
        yield PlannedChange("~", f"account {external_id}", changed, make)


def _webhooks(
    storage: Storage, schedule: Schedule, external_id: str, listed: list[Any], at: Path, *, prunes: bool
) -> Iterator[PlannedChange]:
    try:
        tenant = storage.read(tenants.find, external_id)
        unnamed = storage.read(webhooks.list_for_account, storage.secrets, tenant.id)
    except AccountNotFound:
        unnamed = []

    def slug() -> str:
        return storage.read(tenants.find, external_id).slug  # it may be new

    uids = [entry.get("uid") for entry in listed if isinstance(entry, dict)]
    for number, entry in enumerate(listed):
        here = (*at, number)
        given = _mapping(entry, here)
        _refuse_second(listed[:number], given, here)
        before = _stored(unnamed, given, uids, here)
        checked = _fields(here, partial(_checked, before, given))
        after = {name: checked[name] for name in given}
        title = _title(given.get("uid"), given.get("webhook_url"), external_id)
        if before is None:
            new = {name: (None, shown(name, value)) for name, value in after.items()}
            yield PlannedChange("+", title, new, partial(_create, storage, slug, given))
            continue
        unnamed.remove(before)
        if changed := differences(before, after):
            change = partial(_edit, storage, schedule, slug, before.id, given)
            yield PlannedChange("~", title, changed, change)
    for one in unnamed:
        if prunes and one.client_id is None:
            title = _title(one.uid, one.webhook_url, external_id)
            yield PlannedChange("-", title, {}, partial(_delete, storage, slug, one.id))


def _checked(before: Webhook | None, given: Mapping[str, Any]) -> Mapping[str, Any]:
    return edit.checked_attributes(edit.changed_attributes(before, given), before=before)


def _stored(
    candidates: Sequence[Webhook], given: Mapping[str, Any], uids: Sequence[object], at: Path
) -> Webhook | None:
    """The webhook that an entry means; None: a new one. One without a uid gets that of the entry with its URL.

    `uids`: those that the list names, whose webhooks no other entry means.
    """
    uid, url = given.get("uid"), given.get("webhook_url")
    if uid is not None:
        for one in candidates:
            if one.uid == uid:
                return one
    others = [one for one in candidates if one.uid is None or (uid is None and one.uid not in uids)]
    at_url = [one for one in others if one.webhook_url == url]
    if len(at_url) > 1:
        raise InvalidFile((*at, "webhook_url"), f"is the URL of {len(at_url)} webhooks of the account; add a `uid`")
    return at_url[0] if at_url else None


def _refuse_second(earlier: Sequence[Any], given: Mapping[str, Any], at: Path) -> None:
    """Two entries for one webhook would change it in turn, at each run."""
    name = "webhook_url" if given.get("uid") is None else "uid"
    for one in earlier:
        if one.get(name) == given.get(name) and (name == "uid" or one.get("uid") is None):
            raise InvalidFile((*at, name), "is that of an entry before; webhooks with one URL need a `uid` each")


def _create(storage: Storage, slug: Callable[[], str], given: Mapping[str, Any]) -> object:
    return edit.create_webhook(storage, slug(), given)


def _edit(
    storage: Storage, schedule: Schedule, slug: Callable[[], str], webhook_id: int, given: Mapping[str, Any]
) -> object:
    return edit.edit_webhook(storage, schedule, slug(), webhook_id, given)


def _delete(storage: Storage, slug: Callable[[], str], webhook_id: int) -> None:
    edit.delete_webhook(storage, slug(), webhook_id)


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
