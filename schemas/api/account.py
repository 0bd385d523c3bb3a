"""Accounts and their people, as `account.json`, `users.json` and `user.json` return them. All of it is read-only.

Source: API v3, Account, Users, Current user. Which attributes may be null is inferred where the pages do not say.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from schemas.wire.fields import Boolean, DateTime, Integer, Items, Shape, String, Url, WireSchema


class AccountSchema(WireSchema):
    """An account's own data and its settings."""

    subdomain = String(required=True)
    plan = String()
    plan_price = Integer()
    plan_paid_users = Integer()
    invoice_email = String(allow_none=True)
    phone = String(allow_none=True)
    web = String(allow_none=True)
    name = String()
    full_name = String(allow_none=True)
    registration_no = String(allow_none=True)
    vat_no = String(allow_none=True)
    local_vat_no = String(allow_none=True)
    vat_mode = String(choices=("vat_payer", "non_vat_payer", "identified_person"))
    vat_price_mode = String(
        choices=("with_vat", "without_vat", "numerical_with_vat", "from_total_with_vat"), allow_none=True
    )
    street = String(allow_none=True)
    city = String(allow_none=True)
    zip = String(allow_none=True)
    country = String(allow_none=True)
    currency = String()
    unit_name = String(allow_none=True)
    vat_rate = Integer()
    displayed_note = String(allow_none=True)
    invoice_note = String(allow_none=True)
    due = Integer()
    invoice_language = String()
    invoice_payment_method = String(allow_none=True)
    invoice_proforma = Boolean()
    invoice_hide_bank_account_for_payments = Items(String(), allow_none=True)
    fixed_exchange_rate = Boolean()
    invoice_selfbilling = Boolean()
    default_estimate_type = String(choices=("estimate", "quote"), allow_none=True)
    send_overdue_email = Boolean()
    overdue_email_days = Integer()
    send_repeated_reminders = Boolean()
    send_invoice_from_proforma_email = Boolean()
    send_thank_you_email = Boolean()
    invoice_paypal = Boolean()
    invoice_gopay = Boolean()
    digitoo_enabled = Boolean()
    digitoo_auto_processing_enabled = Boolean()
    digitoo_remaining_extractions = Integer()
    created_at = DateTime()
    updated_at = DateTime()


# What an account has of these is not known here; a dispatcher needs none of it, and clients want the keys.
_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "plan": "Na maximum",
        "plan_price": 0,
        "plan_paid_users": 0,
        "vat_mode": "vat_payer",
        "vat_price_mode": "without_vat",
        "country": "CZ",
        "currency": "CZK",
        "unit_name": "",
        "vat_rate": 21,
        "due": 14,
        "invoice_language": "cz",
        "invoice_proforma": False,
        "fixed_exchange_rate": False,
        "invoice_selfbilling": False,
        "send_overdue_email": False,
        "overdue_email_days": 2,
        "send_repeated_reminders": False,
        "send_invoice_from_proforma_email": False,
        "send_thank_you_email": False,
        "invoice_paypal": False,
        "invoice_gopay": False,
        "digitoo_enabled": False,
        "digitoo_auto_processing_enabled": False,
        "digitoo_remaining_extractions": 0,
    }
)


_UNSET = dict.fromkeys(name for name in AccountSchema().fields if name not in ("created_at", "updated_at"))


def account_attributes(slug: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Every attribute of the account but its times: what `settings` says, else a default, else null."""
    named = {"subdomain": slug, "name": slug, "full_name": slug}
    return {**_UNSET, **_DEFAULTS, **named, **settings, "subdomain": slug}


class UserSchema(WireSchema):
    """One of an account's people, in the list of them."""

    id = Integer(required=True)
    full_name = String()
    email = String()
    avatar_url = Url(allow_none=True)
    permission = String()
    allowed_scope = Items(String())


class UserAccountSchema(WireSchema):
    """An account that a user may enter."""

    slug = String(required=True)
    logo = Url(allow_none=True)
    name = String()
    registration_no = String(allow_none=True)
    permission = String()
    allowed_scope = Items(String())


class CurrentUserSchema(WireSchema):
    """Who the token's user is. Clients take the slug from `default_account`, else from the first account."""

    id = Integer(required=True)
    full_name = String()
    email = String()
    avatar_url = Url(allow_none=True)
    default_account = String(allow_none=True)
    accounts = Shape(UserAccountSchema, many=True)
