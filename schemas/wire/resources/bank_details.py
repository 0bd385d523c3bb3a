"""Bank details of generators made before bank accounts were objects (API v3, generators)."""

from dispatcher.schemas.wire.fields import WireSchema
from dispatcher.schemas.wire.resources.shared import BANK_DETAILS


class LegacyBankDetailsSchema(WireSchema):
    """Bank details as they were written before."""

    _bank_details = BANK_DETAILS
