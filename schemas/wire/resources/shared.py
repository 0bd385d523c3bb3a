"""Attributes that several types have in common."""

from dispatcher.schemas.wire.fields import DateTime, DecimalString, Group, String

PERSONAL = {"personal": True}
"""Metadata of what names a person, or says where one can be reached: masked for readers without that right."""
TIMES = Group(created_at=DateTime(), updated_at=DateTime())
TOTALS = Group(
    subtotal=DecimalString(), total=DecimalString(), native_subtotal=DecimalString(), native_total=DecimalString()
)
BANK_DETAILS = Group(
    bank_account=String(allow_none=True, metadata=PERSONAL),
    iban=String(allow_none=True, metadata=PERSONAL),
    swift_bic=String(allow_none=True),
)
PAYMENT_METHODS = ("bank", "cash", "cod", "card", "paypal", "custom")
LANGUAGES = ("cz", "sk", "en", "de", "fr", "it", "es", "ru", "pl", "hu", "ro")
OSS = ("disabled", "service", "goods")
