"""The events of API v3: each name and what its payload's body holds. The only list of event names.

Source: API v3, Webhooks, Events. The body keys of events other than those of invoices follow the singular name of the
resource (inferred: the docs spell out only `invoice`, `expense`, `inventory_item` and the bulk `inbox_files`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, cast

from schemas.errors import InvalidEvent
from schemas.wire.choices import did_you_mean
from schemas.wire.fields import Integer, Shape, WireSchema
from schemas.wire.resources import RESOURCES


class FileCountSchema(WireSchema):
    """The summary of a bulk event: how many, instead of each."""

    count = Integer(required=True)


_SHAPES: Mapping[str, WireSchema] = {**RESOURCES, "FileCount": FileCountSchema()}


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyKey:
    """A key of the body: the type behind it, whether it is an array of that type, and whether it may be absent."""

    name: str
    type_name: str
    many: bool = False
    optional: bool = False

    @property
    def schema(self) -> WireSchema:
        """The schema of the value, or of each item."""
        return _SHAPES[self.type_name]

    @property
    def field(self) -> Shape:
        """The key as an attribute of the body."""
        return Shape(type(self.schema), many=self.many, required=not self.optional)


@dataclass(frozen=True, kw_only=True, slots=True)
class EventType:
    """An event that can be emitted. `bulk`: the body holds a summary, no resource."""

    name: str
    resource: str
    body: tuple[BodyKey, ...]
    bulk: bool = False


def _event(name: str, *keys: str, resource: str | None = None, bulk: bool = False) -> EventType:
    """`keys` are written as `name: Type`, `name: Type[]` for an array, `name?: Type` where it may be absent."""
    body = tuple(_body_key(key) for key in keys)
    return EventType(name=name, resource=resource or body[0].name, body=body, bulk=bulk)


def _body_key(text: str) -> BodyKey:
    name, type_name = text.split(": ")
    return BodyKey(
        name=name.removesuffix("?"),
        type_name=type_name.removesuffix("[]"),
        many=type_name.endswith("[]"),
        optional=name.endswith("?"),
    )


_ALL = (
    _event("invoice_created", "invoice: Invoice"),
    _event("invoice_updated", "invoice: Invoice"),
    _event("invoice_removed", "invoice: Invoice"),
    _event("invoice_restored", "invoice: Invoice"),
    _event("invoice_overdue", "invoice: Invoice"),
    _event("invoice_paid", "invoice: Invoice", "payment: InvoicePayment"),
    _event("invoice_payment_added", "invoice: Invoice", "payment: InvoicePayment"),
    _event("invoice_payment_removed", "invoice: Invoice", "payments: InvoicePayment[]"),
    _event("invoice_sent", "invoice: Invoice"),
    _event("invoice_locked", "invoice: Invoice"),
    _event("invoice_unlocked", "invoice: Invoice"),
    _event("invoice_cancelled", "invoice: Invoice"),
    _event("invoice_cancellation_removed", "invoice: Invoice"),
    _event("invoice_uncollectible", "invoice: Invoice"),
    _event("invoice_uncollectible_removed", "invoice: Invoice"),
    _event("generator_created", "generator: Generator"),
    _event("generator_updated", "generator: Generator"),
    _event("generator_removed", "generator: Generator"),
    _event("generator_restored", "generator: Generator"),
    _event("recurring_generator_created", "recurring_generator: RecurringGenerator"),
    _event("recurring_generator_updated", "recurring_generator: RecurringGenerator"),
    _event("recurring_generator_removed", "recurring_generator: RecurringGenerator"),
    _event("recurring_generator_restored", "recurring_generator: RecurringGenerator"),
    _event("recurring_generator_invoice_created", "recurring_generator: RecurringGenerator", "invoice: Invoice"),
    _event("recurring_generator_paused", "recurring_generator: RecurringGenerator"),
    _event("expense_created", "expense: Expense"),
    _event("expense_updated", "expense: Expense"),
    _event("expense_removed", "expense: Expense"),
    _event("expense_restored", "expense: Expense"),
    _event("expense_overdue", "expense: Expense"),
    _event("expense_paid", "expense: Expense", "payment: ExpensePayment"),
    _event("expense_payment_added", "expense: Expense", "payment: ExpensePayment"),
    _event("expense_payment_removed", "expense: Expense", "payments: ExpensePayment[]"),
    _event("expense_locked", "expense: Expense"),
    _event("expense_unlocked", "expense: Expense"),
    _event("inbox_file_created", "inbox_file: InboxFile"),
    _event("inbox_file_updated", "inbox_file: InboxFile"),
    _event("inbox_file_removed", "inbox_file: InboxFile", "expense?: Expense"),
    _event("inbox_file_removed_all", "inbox_files: FileCount", resource="inbox_files", bulk=True),
    _event("inbox_file_ocr_processing_failed", "inbox_file: InboxFile"),
    _event("inbox_file_ocr_processing_rejected", "inbox_file: InboxFile"),
    _event("inbox_file_ocr_processed", "inbox_file: InboxFile"),
    _event("inventory_item_created", "inventory_item: InventoryItem"),
    _event("inventory_item_updated", "inventory_item: InventoryItem"),
    _event("inventory_item_removed", "inventory_item: InventoryItem"),
    _event("inventory_item_archived", "inventory_item: InventoryItem"),
    _event("inventory_item_unarchived", "inventory_item: InventoryItem"),
    _event("inventory_move_created", "inventory_move: InventoryMove", "inventory_item: InventoryItem"),
    _event("inventory_move_updated", "inventory_move: InventoryMove", "inventory_item: InventoryItem"),
    _event("inventory_move_removed", "inventory_move: InventoryMove", "inventory_item: InventoryItem"),
    _event("subject_created", "subject: Subject"),
    _event("subject_updated", "subject: Subject"),
    _event("subject_removed", "subject: Subject"),
)

EVENT_TYPES: Mapping[str, EventType] = MappingProxyType({event.name: event for event in _ALL})
"""Event name → its type, in the order of the documentation."""


OPERATIONAL_EVENTS = frozenset({"webhook_deactivated", "webhook_recovered", "delivery_failed"})
"""What the dispatcher itself tells an account's webhooks that subscribed to it; no service can emit them."""


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
    keys: dict[str, Any] = {key.name: key.field for key in event_type(name).body}
    schema: type[Any] = BodySchema.from_dict(keys, name=f"{name}_body")
    return cast("WireSchema", schema())


@cache
def event_example(name: str) -> dict[str, Any]:
    """An example of the event's body, shared and not to be changed; raises what `body_schema` raises."""
    return body_schema(name).example_object()
