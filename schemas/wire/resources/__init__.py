"""The shapes of API v3, one module a resource. `RESOURCES` finds them by the name of their type."""

from collections.abc import Mapping

from schemas.wire.fields import WireSchema
from schemas.wire.resources.attachment import AttachmentSchema
from schemas.wire.resources.bank_details import LegacyBankDetailsSchema
from schemas.wire.resources.expense import ExpenseSchema
from schemas.wire.resources.generator import GeneratorSchema, RecurringGeneratorSchema
from schemas.wire.resources.inbox_file import InboxFileSchema
from schemas.wire.resources.inventory_item import InventoryItemSchema, InventoryRetailPriceSchema
from schemas.wire.resources.inventory_move import InventoryMoveSchema, MoveDocumentSchema
from schemas.wire.resources.invoice import InvoiceSchema
from schemas.wire.resources.invoice_parts import EetRecordSchema, PaidAdvanceSchema, VatRatesSummarySchema
from schemas.wire.resources.line import GeneratorLineSchema, LineInventorySchema, LineSchema
from schemas.wire.resources.payment import ExpensePaymentSchema, InvoicePaymentSchema
from schemas.wire.resources.subject import SubjectSchema

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
