"""Bank details of generators made before bank accounts were objects.

Mirrors API v3, generators: every returned attribute, in the documented order.
Where the documentation does not say whether an attribute may be null, null is accepted (inferred).
"""

from schemas.wire.fields import String, WireSchema


class LegacyBankDetailsSchema(WireSchema):
    """Bank details as they were written before."""

    bank_account = String(allow_none=True)
    iban = String(allow_none=True)
    swift_bic = String(allow_none=True)
