"""Accounts and users: the documented attributes in their order, and what stands where nothing is known."""

from typing import Any

import pytest
from marshmallow import ValidationError

from dispatcher.schemas.api.account import AccountSchema, CurrentUserSchema, UserSchema, account_attributes
from tests.support.cases import each
from tests.unit.schemas.facts import HTTP, in_order

USER = {
    "id": 5,
    "full_name": "Alexandr Hejsek",
    "email": "user@example.com",
    "avatar_url": None,
    "permission": "owner",
    "allowed_scope": ["reports", "expenses", "invoices"],
}
CURRENT_USER = {
    "id": 5,
    "full_name": "Alexandr Hejsek",
    "email": "user@example.com",
    "avatar_url": "https://example.com/avatar.png",
    "default_account": "applecorp",
    "accounts": [
        {
            "slug": "applecorp",
            "logo": "https://example.com/logo.png",
            "name": "Alexandr Hejsek",
            "registration_no": "87654321",
            "permission": "owner",
            "allowed_scope": ["reports"],
        },
        {
            "slug": "other",
            "logo": None,
            "name": "Other",
            "registration_no": None,
            "permission": "read",
            "allowed_scope": [],
        },
    ],
}
TIMES = {"created_at": "2009-07-08T15:38:28.000+02:00", "updated_at": "2024-01-02T09:05:07.123+01:00"}


@each(
    ("schema", "name"),
    [(AccountSchema, "Account"), (UserSchema, "User"), (CurrentUserSchema, "CurrentUser")],
)
def test_the_objects_have_the_documented_attributes(schema: Any, name: str) -> None:
    assert list(schema().fields) == HTTP[name]


@each(
    ("schema", "data"),
    [
        (AccountSchema(), account_attributes("applecorp", {}) | TIMES),
        (
            AccountSchema(),
            account_attributes("applecorp", {"due": 7, "vat_no": "CZ1", "invoice_proforma": True}) | TIMES,
        ),
        (UserSchema(), USER),
        (CurrentUserSchema(), CURRENT_USER),
    ],
)
def test_each_loads_and_dumps_to_the_same(schema: AccountSchema | CurrentUserSchema | UserSchema, data: Any) -> None:
    assert in_order(schema.dump(schema.load(data))) == in_order(data)


def test_an_account_without_settings_has_every_attribute() -> None:
    attributes = account_attributes("applecorp", {})

    assert list(attributes) == HTTP["Account"][:-2]
    assert (attributes["name"], attributes["vat_mode"], attributes["web"]) == ("applecorp", "vat_payer", None)


def test_settings_take_the_place_of_defaults_but_not_of_the_slug() -> None:
    attributes = account_attributes("applecorp", {"subdomain": "other", "name": "Apple Corp", "due": 30})

    assert (attributes["subdomain"], attributes["name"], attributes["due"]) == ("applecorp", "Apple Corp", 30)
    assert list(attributes) == HTTP["Account"][:-2]


def test_what_is_no_attribute_is_refused() -> None:
    with pytest.raises(ValidationError):
        AccountSchema().load({"subdomain": "applecorp", "surplus": 1})
