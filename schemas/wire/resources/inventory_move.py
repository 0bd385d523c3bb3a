"""Movements of stock and the documents behind them (API v3, inventory-moves)."""

from dispatcher.schemas.wire.fields import Date, DecimalString, Integer, Shape, String, WireSchema
from dispatcher.schemas.wire.resources.shared import TIMES


class MoveDocumentSchema(WireSchema):
    """The document, and its line, that moved the stock."""

    id = Integer(required=True)
    type = String(choices=("Estimate", "Expense", "ExpenseGenerator", "Generator", "Invoice"))
    line_id = Integer()


class InventoryMoveSchema(WireSchema):
    """An inventory move."""

    id = Integer(required=True)
    direction = String(choices=("in", "out"))
    moved_on = Date()
    quantity_change = DecimalString()
    purchase_price = DecimalString()
    purchase_currency = String(allow_none=True)
    native_purchase_price = DecimalString(allow_none=True)
    retail_price = DecimalString(allow_none=True)
    retail_currency = String(allow_none=True)
    native_retail_price = DecimalString(allow_none=True)
    private_note = String(allow_none=True)
    inventory_item_id = Integer()
    document = Shape(MoveDocumentSchema, allow_none=True)
    _times = TIMES
