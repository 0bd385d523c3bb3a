"""Expenses (API v3, expenses)."""

from dispatcher.schemas.wire.fields import (
    Boolean,
    Date,
    DateTime,
    DecimalString,
    Integer,
    Items,
    Shape,
    String,
    Url,
    WireSchema,
)
from dispatcher.schemas.wire.resources.attachment import AttachmentSchema
from dispatcher.schemas.wire.resources.invoice_parts import VatRatesSummarySchema
from dispatcher.schemas.wire.resources.line import LineSchema
from dispatcher.schemas.wire.resources.payment import ExpensePaymentSchema
from dispatcher.schemas.wire.resources.shared import BANK_DETAILS, PAYMENT_METHODS, PERSONAL, TIMES, TOTALS


class ExpenseSchema(WireSchema):
    """An expense."""

    id = Integer(required=True)
    custom_id = String(allow_none=True)
    number = String()
    original_number = String(allow_none=True)
    variable_symbol = String(allow_none=True)
    supplier_name = String(metadata=PERSONAL)
    supplier_street = String(allow_none=True, metadata=PERSONAL)
    supplier_city = String(allow_none=True, metadata=PERSONAL)
    supplier_zip = String(allow_none=True, metadata=PERSONAL)
    supplier_country = String(allow_none=True)
    supplier_registration_no = String(allow_none=True, metadata=PERSONAL)
    supplier_vat_no = String(allow_none=True, metadata=PERSONAL)
    supplier_local_vat_no = String(allow_none=True, metadata=PERSONAL)
    subject_id = Integer()
    status = String(choices=("open", "overdue", "paid"))
    document_type = String(choices=("invoice", "bill", "other"))
    issued_on = Date(allow_none=True)
    taxable_fulfillment_due = Date(allow_none=True)
    received_on = Date(allow_none=True)
    due_on = Date(allow_none=True)
    remind_due_date = Boolean(allow_none=True)
    paid_on = Date(allow_none=True)
    locked_at = DateTime(allow_none=True)
    description = String(allow_none=True)
    private_note = String(allow_none=True, metadata=PERSONAL)
    tags = Items(String())
    _bank_details = BANK_DETAILS
    payment_method = String(choices=PAYMENT_METHODS)
    custom_payment_method = String(allow_none=True)
    currency = String()
    exchange_rate = DecimalString()
    transferred_tax_liability = Boolean()
    vat_price_mode = String(choices=("without_vat", "from_total_with_vat"))
    supply_code = String(allow_none=True)
    proportional_vat_deduction = Integer()
    tax_deductible = Boolean()
    rounding_adjustment = DecimalString()
    _totals = TOTALS
    lines = Shape(LineSchema, many=True)
    vat_rates_summary = Shape(VatRatesSummarySchema, many=True)
    payments = Shape(ExpensePaymentSchema, many=True)
    attachments = Shape(AttachmentSchema, allow_none=True, many=True)
    html_url = Url()
    url = Url()
    subject_url = Url()
    _times = TIMES
