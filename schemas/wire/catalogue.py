"""The events of API v3: each name and what its payload's body holds. The only list of event names.

Source: API v3, Webhooks, Events. The body keys of events other than those of invoices follow the singular name of the
resource (inferred: the docs spell out only `invoice`, `expense`, `inventory_item` and the bulk `inbox_files`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, cast

from dispatcher.schemas.errors import InvalidEvent
from dispatcher.schemas.wire.choices import did_you_mean
from dispatcher.schemas.wire.fields import Integer, Shape, WireSchema
from dispatcher.schemas.wire.resources.expense import ExpenseSchema
from dispatcher.schemas.wire.resources.generator import GeneratorSchema, RecurringGeneratorSchema
from dispatcher.schemas.wire.resources.inbox_file import InboxFileSchema
from dispatcher.schemas.wire.resources.inventory_item import InventoryItemSchema
from dispatcher.schemas.wire.resources.inventory_move import InventoryMoveSchema
from dispatcher.schemas.wire.resources.invoice import InvoiceSchema
from dispatcher.schemas.wire.resources.payment import ExpensePaymentSchema, InvoicePaymentSchema
from dispatcher.schemas.wire.resources.subject import SubjectSchema


class FileCountSchema(WireSchema):
    """The summary of a bulk event: how many, instead of each."""

    count = Integer(required=True)


Body = Mapping[str, Shape]
"""The keys of an event's body, with the type of each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventType:
    """An event that can be emitted. `bulk`: the body holds a summary, no resource."""

    name: str
    resource: str
    body: Body
    bulk: bool = False


def _event(name: str, body: dict[str, Shape], *, bulk: bool = False) -> EventType:
    """`body` begins with the event's resource."""
    return EventType(name=name, resource=next(iter(body)), body=MappingProxyType(body), bulk=bulk)


_INVOICE = {"invoice": Shape(InvoiceSchema, required=True)}
_INVOICE_PAYMENT = {"payment": Shape(InvoicePaymentSchema, required=True)}
_INVOICE_PAYMENTS = {"payments": Shape(InvoicePaymentSchema, many=True, required=True)}
_GENERATOR = {"generator": Shape(GeneratorSchema, required=True)}
_RECURRING_GENERATOR = {"recurring_generator": Shape(RecurringGeneratorSchema, required=True)}
_EXPENSE = {"expense": Shape(ExpenseSchema, required=True)}
_EXPENSE_IF_ANY = {"expense": Shape(ExpenseSchema)}
_EXPENSE_PAYMENT = {"payment": Shape(ExpensePaymentSchema, required=True)}
_EXPENSE_PAYMENTS = {"payments": Shape(ExpensePaymentSchema, many=True, required=True)}
_INBOX_FILE = {"inbox_file": Shape(InboxFileSchema, required=True)}
_FILE_COUNT = {"inbox_files": Shape(FileCountSchema, required=True)}
_INVENTORY_ITEM = {"inventory_item": Shape(InventoryItemSchema, required=True)}
_INVENTORY_MOVE = {"inventory_move": Shape(InventoryMoveSchema, required=True)}
_SUBJECT = {"subject": Shape(SubjectSchema, required=True)}

_ALL = (
    _event("invoice_created", _INVOICE),
    _event("invoice_updated", _INVOICE),
    _event("invoice_removed", _INVOICE),
    _event("invoice_restored", _INVOICE),
    _event("invoice_overdue", _INVOICE),
    _event("invoice_paid", _INVOICE | _INVOICE_PAYMENT),
    _event("invoice_payment_added", _INVOICE | _INVOICE_PAYMENT),
    _event("invoice_payment_removed", _INVOICE | _INVOICE_PAYMENTS),
    _event("invoice_sent", _INVOICE),
    _event("invoice_locked", _INVOICE),
    _event("invoice_unlocked", _INVOICE),
    _event("invoice_cancelled", _INVOICE),
    _event("invoice_cancellation_removed", _INVOICE),
    _event("invoice_uncollectible", _INVOICE),
    _event("invoice_uncollectible_removed", _INVOICE),
    _event("generator_created", _GENERATOR),
    _event("generator_updated", _GENERATOR),
    _event("generator_removed", _GENERATOR),
    _event("generator_restored", _GENERATOR),
    _event("recurring_generator_created", _RECURRING_GENERATOR),
    _event("recurring_generator_updated", _RECURRING_GENERATOR),
    _event("recurring_generator_removed", _RECURRING_GENERATOR),
    _event("recurring_generator_restored", _RECURRING_GENERATOR),
    _event("recurring_generator_invoice_created", _RECURRING_GENERATOR | _INVOICE),
    _event("recurring_generator_paused", _RECURRING_GENERATOR),
    _event("expense_created", _EXPENSE),
    _event("expense_updated", _EXPENSE),
    _event("expense_removed", _EXPENSE),
    _event("expense_restored", _EXPENSE),
    _event("expense_overdue", _EXPENSE),
    _event("expense_paid", _EXPENSE | _EXPENSE_PAYMENT),
    _event("expense_payment_added", _EXPENSE | _EXPENSE_PAYMENT),
    _event("expense_payment_removed", _EXPENSE | _EXPENSE_PAYMENTS),
    _event("expense_locked", _EXPENSE),
    _event("expense_unlocked", _EXPENSE),
    _event("inbox_file_created", _INBOX_FILE),
    _event("inbox_file_updated", _INBOX_FILE),
    _event("inbox_file_removed", _INBOX_FILE | _EXPENSE_IF_ANY),
    _event("inbox_file_removed_all", _FILE_COUNT, bulk=True),
    _event("inbox_file_ocr_processing_failed", _INBOX_FILE),
    _event("inbox_file_ocr_processing_rejected", _INBOX_FILE),
    _event("inbox_file_ocr_processed", _INBOX_FILE),
    _event("inventory_item_created", _INVENTORY_ITEM),
    _event("inventory_item_updated", _INVENTORY_ITEM),
    _event("inventory_item_removed", _INVENTORY_ITEM),
    _event("inventory_item_archived", _INVENTORY_ITEM),
    _event("inventory_item_unarchived", _INVENTORY_ITEM),
    _event("inventory_move_created", _INVENTORY_MOVE | _INVENTORY_ITEM),
    _event("inventory_move_updated", _INVENTORY_MOVE | _INVENTORY_ITEM),
    _event("inventory_move_removed", _INVENTORY_MOVE | _INVENTORY_ITEM),
    _event("subject_created", _SUBJECT),
    _event("subject_updated", _SUBJECT),
    _event("subject_removed", _SUBJECT),
)


EVENT_TYPES: Mapping[str, EventType] = MappingProxyType({event.name: event for event in _ALL})
"""Event name → its type, in the order of the documentation."""


OPERATIONAL_EVENTS = frozenset({"webhook_deactivated", "webhook_recovered", "delivery_failed"})
"""Events of the dispatcher itself, for the account's webhooks that subscribed to them; no service can emit them."""


def event_type(name: str) -> EventType:
    """The type of the event `name`; raises InvalidEvent if the catalogue has none."""
    type_ = EVENT_TYPES.get(name)
    if type_ is None:
        raise InvalidEvent(name, [("", f"is not an event of the catalogue; {did_you_mean(str(name), EVENT_TYPES)}")])
    return type_


class BodySchema(WireSchema):
    """The body of an event: an object, whose attributes are the keys."""

    missing_text = "missing from the body"
    unknown_text = "unknown key of the body"

    def null_text(self, key: Shape) -> str:
        """A null key is no object or array, like any other value."""
        return "not an array" if key.many else "not an object"


@cache
def body_schema(name: str) -> WireSchema:
    """The schema of the event's body; raises InvalidEvent for a name not in the catalogue."""
    schema: type[Any] = BodySchema.from_dict(dict(event_type(name).body), name=f"{name}_body")
    return cast("WireSchema", schema())


@cache
def event_example(name: str) -> dict[str, Any]:
    """An example of the event's body, shared and not to be changed; raises what `body_schema` raises."""
    return body_schema(name).example_object()
