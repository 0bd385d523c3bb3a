"""Payments of invoices and of expenses (API v3, invoice-payments, expense-payments)."""

from dispatcher.schemas.wire.fields import Date, DecimalString, Group, Integer, String, WireSchema
from dispatcher.schemas.wire.resources.shared import TIMES

_PAYMENT = Group(
    id=Integer(required=True),
    paid_on=Date(),
    currency=String(),
    amount=DecimalString(),
    native_amount=DecimalString(),
    variable_symbol=String(allow_none=True),
    bank_account_id=Integer(allow_none=True),
)


class InvoicePaymentSchema(WireSchema):
    """An invoice payment."""

    _payment = _PAYMENT
    tax_document_id = Integer(allow_none=True)
    _times = TIMES


class ExpensePaymentSchema(WireSchema):
    """An expense payment."""

    _payment = _PAYMENT
    _times = TIMES
