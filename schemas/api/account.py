"""Accounts and their people, as `account.json`, `users.json` and `user.json` return them. All of it is read-only.

Source: API v3, Account, Users, Current user. Which attributes may be null is inferred where the pages do not say.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import missing

from dispatcher.schemas.wire.fields import Boolean, DateTime, Integer, Items, Shape, String, Url, WireSchema


class AccountSchema(WireSchema):
    """An account's own data and its settings, which are not known here: they have defaults."""

    subdomain = String(required=True)
    plan = String(dump_default="Na maximum")
    plan_price = Integer(dump_default=0)
    plan_paid_users = Integer(dump_default=0)
    invoice_email = String(allow_none=True)
    phone = String(allow_none=True)
    web = String(allow_none=True)
    name = String()
    full_name = String(allow_none=True)
    registration_no = String(allow_none=True)
    vat_no = String(allow_none=True)
    local_vat_no = String(allow_none=True)
    vat_mode = String(choices=("vat_payer", "non_vat_payer", "identified_person"), dump_default="vat_payer")
    vat_price_mode = String(
        choices=("with_vat", "without_vat", "numerical_with_vat", "from_total_with_vat"),
        allow_none=True,
        dump_default="without_vat",
    )
    street = String(allow_none=True)
    city = String(allow_none=True)
    zip = String(allow_none=True)
    country = String(allow_none=True, dump_default="CZ")
    currency = String(dump_default="CZK")
    unit_name = String(allow_none=True, dump_default="")
    vat_rate = Integer(dump_default=21)
    displayed_note = String(allow_none=True)
    invoice_note = String(allow_none=True)
    due = Integer(dump_default=14)
    invoice_language = String(dump_default="cz")
    invoice_payment_method = String(allow_none=True)
    invoice_proforma = Boolean(dump_default=False)
    invoice_hide_bank_account_for_payments = Items(String(), allow_none=True)
    fixed_exchange_rate = Boolean(dump_default=False)
    invoice_selfbilling = Boolean(dump_default=False)
    default_estimate_type = String(choices=("estimate", "quote"), allow_none=True)
    send_overdue_email = Boolean(dump_default=False)
    overdue_email_days = Integer(dump_default=2)
    send_repeated_reminders = Boolean(dump_default=False)
    send_invoice_from_proforma_email = Boolean(dump_default=False)
    send_thank_you_email = Boolean(dump_default=False)
    invoice_paypal = Boolean(dump_default=False)
    invoice_gopay = Boolean(dump_default=False)
    digitoo_enabled = Boolean(dump_default=False)
    digitoo_auto_processing_enabled = Boolean(dump_default=False)
    digitoo_remaining_extractions = Integer(dump_default=0)
    created_at = DateTime()
    updated_at = DateTime()


_DEFAULTS = {
    name: None if field.dump_default is missing else field.dump_default
    for name, field in AccountSchema(exclude=["created_at", "updated_at"]).fields.items()
}


def account_attributes(slug: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Every attribute of the account but its times: what `settings` says, else a default, else null."""
    named = {"subdomain": slug, "name": slug, "full_name": slug}
    return {**_DEFAULTS, **named, **settings, "subdomain": slug}


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
