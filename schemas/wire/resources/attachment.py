"""A file attached to a document.

Mirrors API v3, invoices, expenses: every returned attribute, in the documented order.
Where the documentation does not say whether an attribute may be null, null is accepted (inferred).
"""

from schemas.wire.fields import Integer, String, Url, WireSchema


class AttachmentSchema(WireSchema):
    """An attachment."""

    id = Integer(required=True)
    filename = String()
    content_type = String()
    download_url = Url()
