"""Lines of documents, with the stock they move (API v3, invoices, expenses, generators)."""

from dispatcher.schemas.wire.fields import DecimalString, Group, Integer, Number, Shape, String, WireSchema


class LineInventorySchema(WireSchema):
    """The item that a line takes from stock."""

    item_id = Integer()
    sku = String(allow_none=True)
    article_number_type = String(allow_none=True, choices=("ian", "ean", "isbn"))
    article_number = String(allow_none=True)
    move_id = Integer(allow_none=True)  # null where the quantity is not tracked (inferred)


_LINE = Group(
    id=Integer(required=True),
    name=String(),
    quantity=DecimalString(),
    unit_name=String(allow_none=True),
    unit_price=DecimalString(),
    vat_rate=Number(),
    unit_price_without_vat=DecimalString(),
    unit_price_with_vat=DecimalString(),
)


class LineSchema(WireSchema):
    """A line of an invoice or an expense."""

    _line = _LINE
    total_price_without_vat = DecimalString()
    total_vat = DecimalString()
    native_total_price_without_vat = DecimalString()
    native_total_vat = DecimalString()
    inventory = Shape(LineInventorySchema, allow_none=True)


class GeneratorLineSchema(WireSchema):
    """A line of a generator."""

    _line = _LINE
    total_price_without_vat = DecimalString(allow_none=True)
    total_vat = DecimalString(allow_none=True)
    native_total_price_without_vat = DecimalString(allow_none=True)
    native_total_vat = DecimalString(allow_none=True)
    inventory_item_id = Integer(allow_none=True)
    inventory = Shape(LineInventorySchema, allow_none=True)
