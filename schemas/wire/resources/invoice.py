"""Invoices (API v3, invoices)."""

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
from dispatcher.schemas.wire.resources.invoice_parts import EetRecordSchema, PaidAdvanceSchema, VatRatesSummarySchema
from dispatcher.schemas.wire.resources.line import LineSchema
from dispatcher.schemas.wire.resources.payment import InvoicePaymentSchema
from dispatcher.schemas.wire.resources.shared import (
    BANK_DETAILS,
    LANGUAGES,
    OSS,
    PAYMENT_METHODS,
    PERSONAL,
    TIMES,
    TOTALS,
)


class InvoiceSchema(WireSchema):
    """An invoice, a proforma, a correction or a tax document."""

    id = Integer(required=True)
    custom_id = String(allow_none=True)
    document_type = String(
        choices=("partial_proforma", "proforma", "correction", "tax_document", "final_invoice", "invoice")
    )
    proforma_followup_document = String(
        allow_none=True, choices=("final_invoice_paid", "final_invoice", "tax_document", "none")
    )
    correction_id = Integer(allow_none=True)
    number = String()
    number_format_id = Integer(allow_none=True)
    variable_symbol = String()
    your_name = String()
    your_street = String(allow_none=True)
    your_city = String(allow_none=True)
    your_zip = String(allow_none=True)
    your_country = String(allow_none=True)
    your_registration_no = String(allow_none=True)
    your_vat_no = String(allow_none=True)
    your_local_vat_no = String(allow_none=True)
    client_name = String(metadata=PERSONAL)
    client_street = String(allow_none=True, metadata=PERSONAL)
    client_city = String(allow_none=True, metadata=PERSONAL)
    client_zip = String(allow_none=True, metadata=PERSONAL)
    client_country = String(allow_none=True)
    client_registration_no = String(allow_none=True, metadata=PERSONAL)
    client_vat_no = String(allow_none=True, metadata=PERSONAL)
    client_local_vat_no = String(allow_none=True, metadata=PERSONAL)
    client_has_delivery_address = Boolean()
    client_delivery_name = String(allow_none=True, metadata=PERSONAL)
    client_delivery_street = String(allow_none=True, metadata=PERSONAL)
    client_delivery_city = String(allow_none=True, metadata=PERSONAL)
    client_delivery_zip = String(allow_none=True, metadata=PERSONAL)
    client_delivery_country = String(allow_none=True)
    subject_id = Integer()
    subject_custom_id = String(allow_none=True)
    generator_id = Integer(allow_none=True)
    related_id = Integer(allow_none=True)
    paypal = Boolean()
    gopay = Boolean()
    token = String(metadata=PERSONAL)  # with it anybody sees the invoice, as by the next one
    status = String(choices=("open", "sent", "overdue", "paid", "cancelled", "uncollectible"))
    order_number = String(allow_none=True)
    issued_on = Date()
    taxable_fulfillment_due = Date(allow_none=True)
    due = Integer()
    due_on = Date()
    sent_at = DateTime(allow_none=True)
    paid_on = Date(allow_none=True)
    reminder_sent_at = DateTime(allow_none=True)
    last_reminder_sent_at = DateTime(allow_none=True)  # in no example: its place and null are inferred
    cancelled_at = DateTime(allow_none=True)
    uncollectible_at = DateTime(allow_none=True)
    locked_at = DateTime(allow_none=True)
    webinvoice_seen_on = Date(allow_none=True)
    note = String(allow_none=True, metadata=PERSONAL)
    footer_note = String(allow_none=True)
    private_note = String(allow_none=True, metadata=PERSONAL)
    tags = Items(String())
    _bank_details = BANK_DETAILS
    iban_visibility = String(choices=("automatically", "always"))
    show_already_paid_note_in_pdf = Boolean()
    payment_method = String(choices=PAYMENT_METHODS)
    custom_payment_method = String(allow_none=True)
    hide_bank_account = Boolean(allow_none=True)
    currency = String()
    exchange_rate = DecimalString()
    language = String(choices=LANGUAGES)
    transferred_tax_liability = Boolean()
    supply_code = String(allow_none=True)
    oss = String(choices=OSS)
    vat_price_mode = String(
        allow_none=True, choices=("without_vat", "from_total_with_vat", "with_vat", "numerical_with_vat")
    )
    _totals = TOTALS
    rounding_adjustment = DecimalString()
    remaining_amount = DecimalString()
    remaining_native_amount = DecimalString()
    eet_records = Shape(EetRecordSchema, many=True)
    lines = Shape(LineSchema, many=True)
    vat_rates_summary = Shape(VatRatesSummarySchema, many=True)
    paid_advances = Shape(PaidAdvanceSchema, many=True)
    payments = Shape(InvoicePaymentSchema, many=True)
    attachments = Shape(AttachmentSchema, allow_none=True, many=True)
    html_url = Url()
    public_html_url = Url(metadata=PERSONAL)
    url = Url()
    pdf_url = Url()
    subject_url = Url()
    _times = TIMES
