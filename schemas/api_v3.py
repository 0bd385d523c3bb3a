"""The catalogue of API v3: each event, and what its payload's body holds.

Source: API v3, Webhooks, Events. The body keys of events other than those of invoices follow the singular name of the
resource (inferred: the docs spell out only `invoice`, `expense`, `inventory_item` and the bulk `inbox_files`).
"""

from dispatcher.schemas.catalogue import Catalogue
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


catalogue = Catalogue("api_v3", envelope="api_v3", time_zone="Europe/Prague")

_invoice = catalogue.resource("invoice", InvoiceSchema, subjects=["subject_id"])
_generator = catalogue.resource("generator", GeneratorSchema, subjects=["subject_id"])
_recurring_generator = catalogue.resource("recurring_generator", RecurringGeneratorSchema, subjects=["subject_id"])
_expense = catalogue.resource("expense", ExpenseSchema, subjects=["subject_id"])
_inbox_file = catalogue.resource("inbox_file", InboxFileSchema)
_inbox_files = catalogue.resource("inbox_files", FileCountSchema, id=None)
_inventory_item = catalogue.resource("inventory_item", InventoryItemSchema)
_inventory_move = catalogue.resource("inventory_move", InventoryMoveSchema)
_subject = catalogue.resource("subject", SubjectSchema, subjects=["id"])

catalogue.event("invoice_created", _invoice)
catalogue.event("invoice_updated", _invoice, supersedes=True)
catalogue.event("invoice_removed", _invoice)
catalogue.event("invoice_restored", _invoice)
catalogue.event("invoice_overdue", _invoice)
catalogue.event("invoice_paid", _invoice, payment=InvoicePaymentSchema)
catalogue.event("invoice_payment_added", _invoice, payment=InvoicePaymentSchema)
catalogue.event("invoice_payment_removed", _invoice, payments=InvoicePaymentSchema(many=True))
catalogue.event("invoice_sent", _invoice)
catalogue.event("invoice_locked", _invoice)
catalogue.event("invoice_unlocked", _invoice)
catalogue.event("invoice_cancelled", _invoice)
catalogue.event("invoice_cancellation_removed", _invoice)
catalogue.event("invoice_uncollectible", _invoice)
catalogue.event("invoice_uncollectible_removed", _invoice)
catalogue.event("generator_created", _generator)
catalogue.event("generator_updated", _generator, supersedes=True)
catalogue.event("generator_removed", _generator)
catalogue.event("generator_restored", _generator)
catalogue.event("recurring_generator_created", _recurring_generator)
catalogue.event("recurring_generator_updated", _recurring_generator, supersedes=True)
catalogue.event("recurring_generator_removed", _recurring_generator)
catalogue.event("recurring_generator_restored", _recurring_generator)
catalogue.event("recurring_generator_invoice_created", _recurring_generator, invoice=InvoiceSchema)
catalogue.event("recurring_generator_paused", _recurring_generator)
catalogue.event("expense_created", _expense)
catalogue.event("expense_updated", _expense, supersedes=True)
catalogue.event("expense_removed", _expense)
catalogue.event("expense_restored", _expense)
catalogue.event("expense_overdue", _expense)
catalogue.event("expense_paid", _expense, payment=ExpensePaymentSchema)
catalogue.event("expense_payment_added", _expense, payment=ExpensePaymentSchema)
catalogue.event("expense_payment_removed", _expense, payments=ExpensePaymentSchema(many=True))
catalogue.event("expense_locked", _expense)
catalogue.event("expense_unlocked", _expense)
catalogue.event("inbox_file_created", _inbox_file)
catalogue.event("inbox_file_updated", _inbox_file, supersedes=True)
catalogue.event("inbox_file_removed", _inbox_file, expense=Shape(ExpenseSchema))
catalogue.event("inbox_file_removed_all", _inbox_files)
catalogue.event("inbox_file_ocr_processing_failed", _inbox_file)
catalogue.event("inbox_file_ocr_processing_rejected", _inbox_file)
catalogue.event("inbox_file_ocr_processed", _inbox_file)
catalogue.event("inventory_item_created", _inventory_item)
catalogue.event("inventory_item_updated", _inventory_item, supersedes=True)
catalogue.event("inventory_item_removed", _inventory_item)
catalogue.event("inventory_item_archived", _inventory_item)
catalogue.event("inventory_item_unarchived", _inventory_item)
catalogue.event("inventory_move_created", _inventory_move, inventory_item=InventoryItemSchema)
catalogue.event("inventory_move_updated", _inventory_move, inventory_item=InventoryItemSchema, supersedes=True)
catalogue.event("inventory_move_removed", _inventory_move, inventory_item=InventoryItemSchema)
catalogue.event("subject_created", _subject)
catalogue.event("subject_updated", _subject, supersedes=True)
catalogue.event("subject_removed", _subject)

EVENT_TYPES = catalogue.events
"""Event name → its type, in the order of the documentation."""
