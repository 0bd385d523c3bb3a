"""The activity log (API v3, Events): what was emitted in an account, in words for people.

API v3's log has names of its own; ours has those of the catalogue. It does not say who emits: `user` is the account's
owner, and `text`, `related_objects` and `params` come from the event's body (all inferred).
"""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from dispatcher.schemas.active_catalogues import active
from dispatcher.schemas.catalogue import EventType
from dispatcher.schemas.wire.fields import DateTime, Integer, Shape, String, Url, WireSchema

PAID = ("invoice_paid", "expense_paid")
"""The events of `/events/paid.json`: payments of invoices and expenses."""

_TYPES = {
    "invoice": "Invoice",
    "expense": "Expense",
    "generator": "Generator",
    "recurring_generator": "RecurringGenerator",
    "subject": "Subject",
}
"""Key of the body → the type that API v3 has for it; it has none for files and stock, and for other catalogues'."""
_LABELS = ("number", "name", "filename")
"""Attributes by which people know an object, the best first, where its catalogue does not say which."""


class RelatedObjectSchema(WireSchema):
    """An object that the event is about."""

    id = Integer(required=True)
    type = String(
        required=True,
        choices=("Invoice", "Subject", "Expense", "Generator", "RecurringGenerator", "ExpenseGenerator", "Estimate"),
    )


class ActivityUserSchema(WireSchema):
    """Whose doing it was."""

    id = Integer(required=True)
    full_name = String(required=True)
    avatar = Url(required=True, allow_none=True)


class ActivitySchema(WireSchema):
    """One line of the log."""

    name = String(required=True)
    created_at = DateTime(required=True)
    text = String(required=True)
    related_objects = Shape(RelatedObjectSchema, many=True, required=True)
    user = Shape(ActivityUserSchema, required=True)
    params = fields.Dict(keys=fields.String(), required=True)


def text(name: str, body: Mapping[str, Any]) -> str:
    """The event as a phrase: `Invoice 2024-0056: payment added`."""
    event = active().events.get(name)
    label = _label(event, body) if event else ""
    if not event or not label:  # a bulk event, `Inbox file removed all`, or one that is not of the catalogue
        return _words(name).capitalize()
    happened = name.removeprefix(event.resource).lstrip("_.-")
    return f"{_words(event.resource).capitalize()} {label}: {_words(happened)}"


def related_objects(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the event is about, and the subject of it."""
    objects: list[dict[str, Any]] = []
    for key, type_ in _TYPES.items():
        value = body.get(key)
        if isinstance(value, Mapping) and isinstance(value.get("id"), int):
            objects.append({"id": value["id"], "type": type_})
            if value.get("subject_id") is not None:
                objects.append({"id": value["subject_id"], "type": "Subject"})
    return [one for index, one in enumerate(objects) if one not in objects[:index]]


def params(name: str, body: Mapping[str, Any]) -> dict[str, str | None]:
    """What identifies the object: `{"invoice_number": "2024-0056"}`."""
    event = active().events.get(name)
    value = body.get(event.resource) if event else None
    if not event or not isinstance(value, Mapping):
        return {}
    return {f"{event.resource}_{label}": value[label] for label in _labels(event) if label in value}


def subject_path(event: EventType) -> tuple[str, str] | None:
    """Where in the event's body the subject's id stands, as key and attribute; None where there is none."""
    if event.resource == "subject":
        return "subject", "id"
    for key, field in event.keys.items():
        if key in _TYPES and field is not None and "subject_id" in field.schema.fields:
            return key, "subject_id"
    return None


def _labels(event: EventType) -> tuple[str, ...]:
    return (event.about.label,) if event.about.label else _LABELS


def _label(event: EventType, body: Mapping[str, Any]) -> str:
    value = body.get(event.resource)
    if not isinstance(value, Mapping):
        return ""
    names = (*_labels(event), event.about.id)
    return next((str(value[name]) for name in names if name and value.get(name) not in (None, "")), "")


def _words(name: str) -> str:
    return re.sub("[_.-]", " ", name)
