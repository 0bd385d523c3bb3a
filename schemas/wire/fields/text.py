"""The forms of text: what can be sent, URLs, decimal numbers. And texts for examples."""

import re

UNSENDABLE = re.compile("[\0\ud800-\udfff]")
"""NUL and lone surrogates: they can be neither stored nor sent."""
URL = re.compile(r"^[Hh][Tt][Tt][Pp][Ss]?://([^/?#\[\]]+|[^/?#\[\]]*\[[0-9A-Fa-f:.]+\](:[0-9]*)?)([/?#]|$)")
"""Absolute, with a host. What follows it is passed on as it is, blanks and all: nobody opens it here."""
PLAIN_URL = re.compile(r"^https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[!-~]*)?\Z")
"""Those that are not checked further."""
DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?\Z")
FRACTION = re.compile(r"-?[0-9]{1,30}\.[0-9]{1,30}\Z")

EXAMPLES = {
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
