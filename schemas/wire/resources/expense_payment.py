"""Payments of expenses.

Mirrors API v3, expense-payments: every returned attribute, in the documented order.
Where the documentation does not say whether an attribute may be null, null is accepted (inferred).
"""

from schemas.wire.fields import Date, DateTime, DecimalString, Integer, String, WireSchema


class ExpensePaymentSchema(WireSchema):
    """An expense payment."""

    id = Integer(required=True)
    paid_on = Date()
    currency = String()
    amount = DecimalString()
    native_amount = DecimalString()
    variable_symbol = String(allow_none=True)
    bank_account_id = Integer(allow_none=True)
    created_at = DateTime()
    updated_at = DateTime()
