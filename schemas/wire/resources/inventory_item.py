"""Items on stock and their prices (API v3, inventory-items)."""

from dispatcher.schemas.wire.fields import Boolean, Date, DecimalString, Integer, Shape, String, WireSchema
from dispatcher.schemas.wire.resources.shared import TIMES


class InventoryRetailPriceSchema(WireSchema):
    """The retail price in one currency."""

    id = Integer(required=True)
    amount = DecimalString(verbatim=True)
    currency = String()
    _times = TIMES


class InventoryItemSchema(WireSchema):
    """An inventory item."""

    id = Integer(required=True)
    name = String()
    sku = String(allow_none=True)
    article_number_type = String(choices=("ian", "ean", "isbn"))
    article_number = String(allow_none=True)
    unit_name = String(allow_none=True)
    track_quantity = Boolean()
    quantity = DecimalString(allow_none=True)
    min_quantity = DecimalString(allow_none=True)
    max_quantity = DecimalString(allow_none=True)
    allow_below_zero = Boolean()
    low_quantity_date = Date(allow_none=True)
    native_purchase_price = DecimalString(allow_none=True)
    native_retail_price = DecimalString()
    vat_rate = String(allow_none=True, choices=("standard", "reduced", "reduced2", "zero"))
    average_native_purchase_price = DecimalString()
    supply_type = String(choices=("goods", "service"))
    archived = Boolean()
    private_note = String(allow_none=True)
    suggest_for = String(choices=("invoices", "expenses", "both"))
    # In no example of an item: its place follows the attribute table, and that none is `[]` is inferred.
    retail_prices = Shape(InventoryRetailPriceSchema, allow_none=True, many=True)
    _times = TIMES
