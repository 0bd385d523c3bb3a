"""An example of each event's body, made of the field types: every attribute, none null. Pure; made once.

Not real data: sums do not add up. They show forms and names, and every one is accepted by `render_body`.
"""

from functools import cache, singledispatch
from typing import Any

from schemas.wire.catalogue import BodyKey, event_type
from schemas.wire.fields import (
    Boolean,
    Date,
    DateTime,
    DecimalString,
    Integer,
    Items,
    Number,
    Shape,
    String,
    Url,
    Uuid,
    WireSchema,
)
from schemas.wire.json_schema import nested

_TELLING = {
    "bank_account": "1234567890/2010",
    "city": "Praha",
    "client_name": "Apple Czech s.r.o.",
    "country": "CZ",
    "currency": "CZK",
    "email": "info@example.com",
    "filename": "invoice.pdf",
    "full_name": "Alexandr Hejsek",
    "iban": "CZ9120100000001234567890",
    "name": "Grafika",
    "native_currency": "CZK",
    "number": "2024-0056",
    "phone": "+420 123 456 789",
    "registration_no": "12345678",
    "sku": "PC-01",
    "street": "Hlavní 1",
    "swift_bic": "FIOBCZPPXXX",
    "unit_name": "ks",
    "variable_symbol": "20240056",
    "vat_no": "CZ12345678",
    "your_name": "Alexandr Hejsek",
    "zip": "11000",
}
"""Texts for attributes whose name alone says too little."""


@cache
def event_example(name: str) -> dict[str, Any]:
    """The body of the event; raises InvalidEvent for a name not in the catalogue. Shared, not to be changed."""
    return {key.name: _of_key(key) for key in event_type(name).body}


def _of_key(key: BodyKey) -> Any:
    made = _object(key.schema)
    return [made] if key.many else made


def _object(schema: WireSchema) -> dict[str, Any]:
    return {name: _value(field, name) for name, field in schema.fields.items()}


@singledispatch
def _value(field: Any, name: str) -> Any:
    """One implementation for each kind of field."""
    raise TypeError(f"no example is known for a {type(field).__name__}")


@_value.register
def _(field: Integer, name: str) -> int:
    return 14 if name == "due" else 1


@_value.register
def _(field: String, name: str) -> str:
    return min(field.choices) if field.choices else _TELLING.get(name, name.replace("_", " "))


@_value.register
def _(field: Boolean, name: str) -> bool:
    return False


@_value.register
def _(field: Number, name: str) -> int:
    return 21


@_value.register
def _(field: DecimalString, name: str) -> str:
    return "1.0" if name in ("quantity", "exchange_rate") else "12100.0"


@_value.register
def _(field: Date, name: str) -> str:
    return "2024-06-13"


@_value.register
def _(field: DateTime, name: str) -> str:
    return "2024-06-13T14:06:20.743+02:00"


@_value.register
def _(field: Url, name: str) -> str:
    return f"https://example.com/{name.removesuffix('_url')}"


@_value.register
def _(field: Uuid, name: str) -> str:
    return "0190163d-8694-739b-aea5-966c26f8ad91"


@_value.register
def _(field: Items, name: str) -> list[Any]:
    return [_value(field.inner, name)]


@_value.register
def _(field: Shape, name: str) -> Any:
    made = _object(nested(field))
    return [made] if field.many else made
