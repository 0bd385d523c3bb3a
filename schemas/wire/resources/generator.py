"""Templates of invoices, and those that issue invoices by themselves (API v3, generators, recurring-generators)."""

from dispatcher.schemas.wire.fields import (
    Boolean,
    Date,
    DecimalString,
    Group,
    Integer,
    Items,
    Shape,
    String,
    Url,
    WireSchema,
)
from dispatcher.schemas.wire.resources.bank_details import LegacyBankDetailsSchema
from dispatcher.schemas.wire.resources.line import GeneratorLineSchema
from dispatcher.schemas.wire.resources.shared import LANGUAGES, OSS, PAYMENT_METHODS, TIMES, TOTALS

_NAMES = Group(id=Integer(required=True), custom_id=String(allow_none=True), name=String())
_KIND = Group(proforma=Boolean(), paypal=Boolean(), gopay=Boolean())
_DUE = Group(tax_date_at_end_of_last_month=Boolean(), due=Integer(allow_none=True))
_TERMS = Group(
    subject_id=Integer(),
    number_format_id=Integer(allow_none=True),
    note=String(allow_none=True),
    footer_note=String(allow_none=True),
    legacy_bank_details=Shape(LegacyBankDetailsSchema, allow_none=True),
    bank_account_id=Integer(allow_none=True),
    iban_visibility=String(choices=("automatically", "always")),
    tags=Items(String()),
    order_number=String(allow_none=True),
    currency=String(),
    payment_method=String(choices=PAYMENT_METHODS),
    custom_payment_method=String(allow_none=True),
    exchange_rate=DecimalString(),
    language=String(allow_none=True, choices=LANGUAGES),
    vat_price_mode=String(allow_none=True, choices=("without_vat", "from_total_with_vat")),
    transferred_tax_liability=Boolean(),
    oss=String(choices=OSS),
    supply_code=String(allow_none=True),
)
_CONTENT = Group(
    rounding_adjustment=DecimalString(),
    lines=Shape(GeneratorLineSchema, many=True),
    html_url=Url(),
    url=Url(),
    subject_url=Url(),
)


class GeneratorSchema(WireSchema):
    """A generator."""

    _names = _NAMES
    _kind = _KIND
    _due = _DUE
    _terms = _TERMS
    _totals = TOTALS
    _content = _CONTENT
    _times = TIMES


class RecurringGeneratorSchema(WireSchema):
    """A recurring generator."""

    _names = _NAMES
    active = Boolean()
    _kind = _KIND
    start_date = Date()
    end_date = Date(allow_none=True)
    months_period = Integer()
    next_occurrence_on = Date(allow_none=True)  # null once it has ended (inferred)
    last_day_in_month = Boolean()
    _due = _DUE
    send_email = Boolean()
    _terms = _TERMS
    _totals = TOTALS
    _content = _CONTENT
    _times = TIMES
