"""The activity log (API v3, Events): what was emitted in an account, in words for people.

API v3's log has names of its own; ours has those of the catalogue. It does not say who emits: `user` is the account's
owner, and `text`, `related_objects` and `params` come from the event's body (all inferred).
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from dispatcher.schemas.wire.catalogue import EVENT_TYPES, EventType
from dispatcher.schemas.wire.fields import DateTime, Integer, Shape, String, Url, WireSchema

PAID = ("invoice_paid", "expense_paid")
"""The events of `/events/paid.json`: payments of invoices and expenses."""

_RELATED = {
    "invoice": "Invoice",
    "expense": "Expense",
    "generator": "Generator",
    "recurring_generator": "RecurringGenerator",
    "subject": "Subject",
}
"""Key of the body → the type that API v3 has for it; it has none for files and stock."""
_LABELS = ("number", "name", "filename", "id")
"""Attributes that identify an object, the best first."""


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
    resource = _resource(name)
    label = _label(body.get(resource))
    if not label:  # a bulk event, `Inbox file removed all`, or one that is not of the catalogue
        return _words(name).capitalize()
    return f"{_words(resource).capitalize()} {label}: {_words(name.removeprefix(f'{resource}_'))}"


def related_objects(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the event is about, and the subject of it."""
    objects: list[dict[str, Any]] = []
    for key, type_ in _RELATED.items():
        value = body.get(key)
        if isinstance(value, Mapping):
            objects.append({"id": value["id"], "type": type_})
            if value.get("subject_id") is not None:
                objects.append({"id": value["subject_id"], "type": "Subject"})
    return [one for index, one in enumerate(objects) if one not in objects[:index]]


def params(name: str, body: Mapping[str, Any]) -> dict[str, str | None]:
    """What identifies the object: `{"invoice_number": "2024-0056"}`."""
    resource = _resource(name)
    value = body.get(resource)
    if not isinstance(value, Mapping):
        return {}
    return {f"{resource}_{label}": value[label] for label in _LABELS[:-1] if label in value}


def subject_path(event: EventType) -> tuple[str, str] | None:
    """Where in the event's body the subject's id stands, as key and attribute; None where there is none."""
    if event.resource == "subject":
        return "subject", "id"
    for key, shape in event.body.items():
        if key in _RELATED and "subject_id" in shape.inner.fields:
            return key, "subject_id"
    return None


def _label(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    return next((str(value[label]) for label in _LABELS if value.get(label) not in (None, "")), "")


def _resource(name: str) -> str:
    """The key of the body under which its object stands; "" for an event that is not of the catalogue."""
    event = EVENT_TYPES.get(name)
    return event.resource if event else ""


def _words(name: str) -> str:
    return name.replace("_", " ")
