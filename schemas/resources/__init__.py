"""The shapes of API v3, one module a resource. `RESOURCES` finds them by the name of their type."""

from collections.abc import Mapping

from schemas.fields import WireSchema
from schemas.resources.attachment import AttachmentSchema
from schemas.resources.bank_details import LegacyBankDetailsSchema
from schemas.resources.expense import ExpenseSchema
from schemas.resources.expense_payment import ExpensePaymentSchema
from schemas.resources.generator import GeneratorSchema
from schemas.resources.inbox_file import InboxFileSchema
from schemas.resources.inventory_item import InventoryItemSchema, InventoryRetailPriceSchema
from schemas.resources.inventory_move import InventoryMoveSchema, MoveDocumentSchema
from schemas.resources.invoice import InvoiceSchema
from schemas.resources.invoice_parts import EetRecordSchema, PaidAdvanceSchema, VatRatesSummarySchema
from schemas.resources.invoice_payment import InvoicePaymentSchema
from schemas.resources.line import GeneratorLineSchema, LineInventorySchema, LineSchema
from schemas.resources.recurring_generator import RecurringGeneratorSchema
from schemas.resources.subject import SubjectSchema

RESOURCES: Mapping[str, WireSchema] = {
    "Invoice": InvoiceSchema(),
    "InvoicePayment": InvoicePaymentSchema(),
    "ExpensePayment": ExpensePaymentSchema(),
    "Expense": ExpenseSchema(),
    "InboxFile": InboxFileSchema(),
    "InventoryItem": InventoryItemSchema(),
    "InventoryMove": InventoryMoveSchema(),
    "Generator": GeneratorSchema(),
    "RecurringGenerator": RecurringGeneratorSchema(),
    "Subject": SubjectSchema(),
    "Line": LineSchema(),
    "LineInventory": LineInventorySchema(),
    "VatRatesSummary": VatRatesSummarySchema(),
    "PaidAdvance": PaidAdvanceSchema(),
    "Attachment": AttachmentSchema(),
    "EetRecord": EetRecordSchema(),
    "InventoryRetailPrice": InventoryRetailPriceSchema(),
    "MoveDocument": MoveDocumentSchema(),
    "GeneratorLine": GeneratorLineSchema(),
    "LegacyBankDetails": LegacyBankDetailsSchema(),
}
"""Type name → its one schema instance."""
