"""Objects inside invoices and expenses: VAT by rate, advances, records of EET (API v3, invoices).

Advances and records of EET stand in no example. EET attributes have no documented types: theirs, and where null may
come, follow two client libraries (inferred).
"""

from dispatcher.schemas.wire.fields import (
    Boolean,
    Date,
    DateTime,
    DecimalString,
    Integer,
    Number,
    String,
    Uuid,
    WireSchema,
)
from dispatcher.schemas.wire.resources.shared import TIMES


class VatRatesSummarySchema(WireSchema):
    """The sums of all lines of one VAT rate."""

    vat_rate = Number()
    base = DecimalString()
    vat = DecimalString()
    currency = String()
    native_base = DecimalString()
    native_vat = DecimalString()
    native_currency = String()


class PaidAdvanceSchema(WireSchema):
    """An advance that a final invoice deducts; with several VAT rates one for each rate (inferred)."""

    id = Integer(required=True)
    number = String()
    variable_symbol = String(allow_none=True)
    paid_on = Date(allow_none=True)
    vat_rate = Number(allow_none=True)
    price = DecimalString(allow_none=True)
    vat = DecimalString(allow_none=True)


class EetRecordSchema(WireSchema):
    """A record of EET, the electronic record of sales."""

    id = Integer(required=True)
    vat_no = String(allow_none=True)
    number = String(allow_none=True)
    store = String(allow_none=True)
    cash_register = String(allow_none=True)
    paid_at = DateTime(allow_none=True)
    vat_base0 = DecimalString(allow_none=True)
    vat_base1 = DecimalString(allow_none=True)
    vat1 = DecimalString(allow_none=True)
    vat_base2 = DecimalString(allow_none=True)
    vat2 = DecimalString(allow_none=True)
    vat_base3 = DecimalString(allow_none=True)
    vat3 = DecimalString(allow_none=True)
    total = DecimalString(allow_none=True)
    fik = String(allow_none=True)
    bkp = String(allow_none=True)
    pkp = String(allow_none=True)
    status = String(choices=("waiting", "pkp", "fik"))
    fik_received_at = DateTime(allow_none=True)
    external = Boolean()
    attempts = Integer(allow_none=True)
    last_attempt_at = DateTime(allow_none=True)
    last_uuid = Uuid(allow_none=True)
    playground = Boolean()
    invoice_id = Integer()
    _times = TIMES
