"""Contacts (API v3, subjects).

That `email`, `web`, `street`, `city`, `zip`, `registration_no`, `vat_no` are null when unset is inferred too.
"""

from dispatcher.schemas.wire.fields import Boolean, DateTime, Integer, String, Url, WireSchema
from dispatcher.schemas.wire.resources.shared import BANK_DETAILS, PERSONAL, TIMES


class SubjectSchema(WireSchema):
    """A subject."""

    id = Integer(required=True)
    custom_id = String(allow_none=True)
    user_id = Integer(allow_none=True)
    type = String(choices=("customer", "supplier", "both"))
    name = String(metadata=PERSONAL)
    full_name = String(allow_none=True, metadata=PERSONAL)
    email = String(allow_none=True, metadata=PERSONAL)
    email_copy = String(allow_none=True, metadata=PERSONAL)
    phone = String(allow_none=True, metadata=PERSONAL)
    web = String(allow_none=True, metadata=PERSONAL)
    street = String(allow_none=True, metadata=PERSONAL)
    city = String(allow_none=True, metadata=PERSONAL)
    zip = String(allow_none=True, metadata=PERSONAL)
    country = String(allow_none=True)
    has_delivery_address = Boolean()
    delivery_name = String(allow_none=True, metadata=PERSONAL)
    delivery_street = String(allow_none=True, metadata=PERSONAL)
    delivery_city = String(allow_none=True, metadata=PERSONAL)
    delivery_zip = String(allow_none=True, metadata=PERSONAL)
    delivery_country = String(allow_none=True)
    due = Integer(allow_none=True)
    currency = String(allow_none=True)
    language = String(allow_none=True)
    private_note = String(allow_none=True, metadata=PERSONAL)
    registration_no = String(allow_none=True, metadata=PERSONAL)
    vat_no = String(allow_none=True, metadata=PERSONAL)
    local_vat_no = String(allow_none=True, metadata=PERSONAL)
    unreliable = Boolean(allow_none=True)
    unreliable_checked_at = DateTime(allow_none=True)
    legal_form = String(allow_none=True)
    vat_mode = String(allow_none=True)
    _bank_details = BANK_DETAILS
    variable_symbol = String(allow_none=True)
    setting_update_from_ares = String(choices=("inherit", "on", "off"))
    ares_update = Boolean()
    setting_invoice_pdf_attachments = String(choices=("inherit", "on", "off"))
    setting_estimate_pdf_attachments = String(choices=("inherit", "on", "off"))
    setting_invoice_send_reminders = String(choices=("inherit", "on", "off"))
    suggestion_enabled = Boolean()
    custom_email_text = String(allow_none=True)
    overdue_email_text = String(allow_none=True)
    invoice_from_proforma_email_text = String(allow_none=True)
    thank_you_email_text = String(allow_none=True)
    custom_estimate_email_text = String(allow_none=True)
    webinvoice_history = String(allow_none=True, choices=("disabled", "recent", "client_portal"))
    html_url = Url()
    url = Url()
    _times = TIMES
