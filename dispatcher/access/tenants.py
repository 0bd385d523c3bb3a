"""Accounts as the company's own programs create, change and delete them, by the company's own ids."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from dispatcher.errors import AccountExists, AccountNotFound, InvalidAccount
from dispatcher.schemas import active
from dispatcher.schemas.api.tenant import TenantSchema
from dispatcher.schemas.api.webhook import EXTERNAL_ID
from dispatcher.schemas.errors import texts_by_field
from dispatcher.settings import Settings, check_time_zone
from dispatcher.storage.admin import accounts, audit, erase, tenants
from dispatcher.storage.admin.tenants import COLUMNS, Tenant
from dispatcher.storage.engine import Connection, Storage

_NOT_IN_SLUGS = re.compile(r"[^a-z0-9_-]+")
_SLUG_LENGTH, _DIGEST_LENGTH = 63, 8

ERASE_S = 5.0
"""How long a deletion erases history before it is answered."""

_schema = TenantSchema()


def upsert(
    storage: Storage, settings: Settings, external_id: str, attributes: Mapping[str, Any]
) -> tuple[Tenant, bool]:
    """The account with these attributes, and whether it is new; what is not given stays, or has its default.

    Raises InvalidAccount, AccountExists where the slug is taken, and UserExists where the owner's e-mail is.
    """
    checked = checked_account(external_id, attributes, settings)

    def store(connection: Connection) -> tuple[Tenant, bool]:
        is_new = False
        try:
            tenant = tenants.find(connection, external_id)
        except AccountNotFound:
            tenant, is_new = _create(connection, external_id, checked, settings)
        return _edit(connection, tenant, checked, "account.created" if is_new else "account.updated"), is_new

    return storage.transact(store)


def edit(storage: Storage, settings: Settings, external_id: str, changes: Mapping[str, Any]) -> Tenant:
    """The account with `changes`; raises AccountNotFound, and what `upsert` raises."""
    checked = _checked_attributes(changes, settings)
    return storage.transact(lambda connection: _edit(connection, tenants.find(connection, external_id), checked))


def delete(storage: Storage, external_id: str) -> tuple[Counter[str], bool]:
    """Deletes the account and all of it; returns how much of what was deleted by now, and whether that was all.

    At once nobody can use it, and nothing more is sent. A long history goes on being erased by the workers. Raises
    AccountNotFound.
    """

    def end(connection: Connection) -> tuple[int, Counter[str]]:
        tenant = tenants.find(connection, external_id)
        audit.record(connection, "account.deleted", external_id)
        return tenant.id, erase.end_account(connection, tenant.id)

    account_id, ended = storage.transact(end)
    erased, is_whole = erase.erase(storage, account_id, ERASE_S)
    return ended + erased, is_whole


def slug_of(external_id: str) -> str:
    """The slug of a new account: the id itself where it can be one, else what is left of it and a digest."""
    slug = _NOT_IN_SLUGS.sub("-", external_id.lower()).strip("-_")[:_SLUG_LENGTH]
    if slug == external_id:
        return slug
    digest = hashlib.sha256(external_id.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{slug[: _SLUG_LENGTH - _DIGEST_LENGTH - 1]}-{digest}".lstrip("-")


def _create(
    connection: Connection, external_id: str, attributes: Mapping[str, Any], settings: Settings
) -> tuple[Tenant, bool]:
    """The account, and whether it is new: somebody else may have created it meanwhile."""
    slug = attributes.get("slug") or slug_of(external_id)
    time_zone = attributes.get("time_zone") or settings.time_zone or active().time_zone
    try:
        accounts.create(connection, slug, time_zone, external_id=external_id)
    except AccountExists as error:
        try:
            return tenants.find(connection, external_id), False
        except AccountNotFound:  # its slug is another account's
            raise error from None
    return tenants.find(connection, external_id), True


def _edit(
    connection: Connection, tenant: Tenant, changes: Mapping[str, Any], action: str = "account.updated"
) -> Tenant:
    if changes.get("slug", tenant.slug) != tenant.slug:
        raise InvalidAccount({"slug": [f"is {tenant.slug!r} and cannot be changed"]})
    if {"time_zone", "owner_email", "owner_name"} & changes.keys():
        names = ("time_zone", "owner_email", "owner_name")
        accounts.edit(connection, tenant.id, **{name: changes.get(name) for name in names})
    if changes.keys() & set(COLUMNS):
        tenants.set_columns(connection, tenant.id, {name: getattr(tenant, name) for name in COLUMNS} | dict(changes))
    edited = tenants.find(connection, tenant.external_id)
    changed = {name: value for name, value in changes.items() if getattr(tenant, name) != value}
    if changed or action == "account.created":
        audit.record(connection, action, tenant.external_id, account_id=tenant.id, **changed)
    return edited


def checked_account(external_id: str, attributes: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """As `_checked_attributes`, where the account may be new: its id is checked, too."""
    if not EXTERNAL_ID.match(external_id):
        raise InvalidAccount({"external_id": ["must have 1 to 255 characters of A-Z a-z 0-9 . _ : @ -"]})
    return _checked_attributes(attributes, settings)


def _checked_attributes(attributes: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """An account's attributes as they are stored; raises InvalidAccount with every message at once."""
    messages: dict[str, list[str]] = {}
    checked: dict[str, Any] = {}
    try:
        checked = _schema.load(dict(attributes))
        if "time_zone" in checked:
            check_time_zone(checked["time_zone"])
    except ValidationError as error:
        messages = {"time_zone": [str(text) for text in error.messages]} if checked else texts_by_field(error)
    if (checked.get("retention_days") or 0) > settings.retention_days:
        messages["retention_days"] = [f"must not exceed DISPATCHER_RETENTION_DAYS, which is {settings.retention_days}"]
    if messages:
        raise InvalidAccount(messages)
    return checked
