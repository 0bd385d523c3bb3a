"""Accounts and webhooks as a file describes them: what would change, and the changes. What it does not name stays."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from dispatcher.access import tenants as accounts
from dispatcher.errors import AccountNotFound, InvalidFields, InvalidFile
from dispatcher.model.options import SECRET_OPTIONS
from dispatcher.schedule.schedule import Schedule
from dispatcher.settings import Settings
from dispatcher.storage.admin import tenants, webhooks
from dispatcher.storage.engine import Storage
from dispatcher.webhooks import edit

Path = tuple[str | int, ...]
"""Where in the file."""
_SECRET = "(hidden)"  # noqa: S105 - what is shown in the place of one


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """An account or webhook to create or to change: `differences` are attribute → before and after."""

    title: str
    is_new: bool
    differences: Mapping[str, tuple[object, object]]
    make: Callable[[], object]


def plan(storage: Storage, schedule: Schedule, settings: Settings, document: Any) -> list[PlannedChange]:
    """What differs from the file, in the order in which it is to be made; raises InvalidFile."""
    entries = _mapping(_mapping(document, ()).get("accounts", {}), ("accounts",))
    unknown = next((key for key in document if key != "accounts"), None)
    if unknown is not None:
        raise InvalidFile((unknown,), "is unknown; the file has `accounts`")
    changes: list[PlannedChange] = []
    for external_id, entry in entries.items():
        at: Path = ("accounts", external_id)
        given = dict(_mapping(entry or {}, at))
        listed = given.pop("webhooks", [])
        if not isinstance(listed, list):
            raise InvalidFile((*at, "webhooks"), "must be a list")
        changes += _account(storage, settings, str(external_id), given, at)
        changes += _webhooks(storage, schedule, str(external_id), listed, (*at, "webhooks"))
    return changes


def _account(
    storage: Storage, settings: Settings, external_id: str, given: Mapping[str, Any], at: Path
) -> Iterator[PlannedChange]:
    checked = _fields(at, partial(accounts.checked_account, external_id, given, settings))
    make = partial(accounts.upsert, storage, settings, external_id, given)
    try:
        tenant = storage.read(tenants.find, external_id)
    except AccountNotFound:
        yield PlannedChange(
            f"account {external_id}", True, {name: (None, value) for name, value in checked.items()}, make
        )
        return
    if differences := _differences(tenant, checked):
        yield PlannedChange(f"account {external_id}", False, differences, make)


def _webhooks(
    storage: Storage, schedule: Schedule, external_id: str, listed: list[Any], at: Path
) -> Iterator[PlannedChange]:
    try:
        tenant = storage.read(tenants.find, external_id)
        stored = storage.read(webhooks.list_for_account, storage.secrets, tenant.id)
    except AccountNotFound:
        stored = []
    by_url = {one.webhook_url: one for one in stored}
    for number, entry in enumerate(listed):
        here = (*at, number)
        given = _mapping(entry, here)
        url = given.get("webhook_url")
        before = by_url.get(url) if isinstance(url, str) else None
        checked = _fields(here, partial(edit.checked_attributes, edit.changed_attributes(before, given)))
        after = {name: checked[name] for name in given}
        before_id = None if before is None else before.id
        title = f"webhook {_shown('webhook_url', url)} of {external_id}"

        def make(given: Mapping[str, Any] = given, id_: int | None = before_id) -> object:
            slug = storage.read(tenants.find, external_id).slug
            if id_ is None:
                return edit.create_webhook(storage, slug, given)
            return edit.edit_webhook(storage, schedule, slug, id_, given)

        if before is None:
            yield PlannedChange(title, True, {name: (None, _shown(name, value)) for name, value in after.items()}, make)
        elif differences := _differences(before, after):
            yield PlannedChange(title, False, differences, make)


def _differences(before: object, after: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    found = {}
    for name, value in after.items():
        was = getattr(before, name)
        was = list(was) if isinstance(was, tuple) else was
        if was != value:
            found[name] = (_shown(name, was), _shown(name, value))
    return found


def _shown(name: str, value: object) -> object:
    """Without secrets: a URL's query may hold its receiver's token."""
    if name == "webhook_url":
        return str(value).partition("?")[0]
    if name in SECRET_OPTIONS:
        return _SECRET if value else None
    return _SECRET if name == "auth_header" and value is not None else value


def _fields(at: Path, check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return check()
    except InvalidFields as error:
        name, texts = next(iter(error.messages.items()))
        raise InvalidFile((*at, name), ", ".join(texts)) from None


def _mapping(value: Any, at: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidFile(at, "must be a mapping")
    return value
