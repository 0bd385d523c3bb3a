"""Bank details of generators made before bank accounts were objects.

Mirrors API v3, generators: every returned attribute, in the documented order.
Where the documentation does not say whether an attribute may be null, null is accepted (inferred).
"""

from schemas.wire.fields import WireSchema
from schemas.wire.resources.shared import BANK_DETAILS


class LegacyBankDetailsSchema(WireSchema):
    """Bank details as they were written before."""

    _bank_details = BANK_DETAILS
