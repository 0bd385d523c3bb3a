"""Templates that issue invoices by themselves.

Mirrors API v3, recurring-generators: every returned attribute, in the documented order.
Where the documentation does not say whether an attribute may be null, null is accepted (inferred).
"""

from schemas.wire.fields import Boolean, Date, DateTime, DecimalString, Integer, Items, Shape, String, Url, WireSchema
from schemas.wire.resources.bank_details import LegacyBankDetailsSchema
from schemas.wire.resources.line import GeneratorLineSchema


class RecurringGeneratorSchema(WireSchema):
    """A recurring generator."""

    id = Integer(required=True)
    custom_id = String(allow_none=True)
    name = String()
    active = Boolean()
    proforma = Boolean()
    paypal = Boolean()
    gopay = Boolean()
    start_date = Date()
    end_date = Date(allow_none=True)
    months_period = Integer()
    next_occurrence_on = Date(allow_none=True)  # null once it has ended (inferred)
    last_day_in_month = Boolean()
    tax_date_at_end_of_last_month = Boolean()
    due = Integer(allow_none=True)
    send_email = Boolean()
    subject_id = Integer()
    number_format_id = Integer(allow_none=True)
    note = String(allow_none=True)
    footer_note = String(allow_none=True)
    legacy_bank_details = Shape(LegacyBankDetailsSchema, allow_none=True)
    bank_account_id = Integer(allow_none=True)
    iban_visibility = String(choices=("automatically", "always"))
    tags = Items(String())
    order_number = String(allow_none=True)
    currency = String()
    payment_method = String(choices=("bank", "cash", "cod", "card", "paypal", "custom"))
    custom_payment_method = String(allow_none=True)
    exchange_rate = DecimalString()
    language = String(allow_none=True, choices=("cz", "sk", "en", "de", "fr", "it", "es", "ru", "pl", "hu", "ro"))
    vat_price_mode = String(allow_none=True, choices=("without_vat", "from_total_with_vat"))
    transferred_tax_liability = Boolean()
    oss = String(choices=("disabled", "service", "goods"))
    supply_code = String(allow_none=True)
    subtotal = DecimalString()
    total = DecimalString()
    native_subtotal = DecimalString()
    native_total = DecimalString()
    rounding_adjustment = DecimalString()
    lines = Shape(GeneratorLineSchema, many=True)
    html_url = Url()
    url = Url()
    subject_url = Url()
    created_at = DateTime()
    updated_at = DateTime()
