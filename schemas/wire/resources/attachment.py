"""A file attached to a document (API v3, invoices, expenses)."""

from dispatcher.schemas.wire.fields import Integer, String, Url, WireSchema


class AttachmentSchema(WireSchema):
    """An attachment."""

    id = Integer(required=True)
    filename = String()
    content_type = String()
    download_url = Url()
