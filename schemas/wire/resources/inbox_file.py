"""Files in the inbox (API v3, inbox-files)."""

from dispatcher.schemas.wire.fields import Boolean, DateTime, Integer, String, Url, WireSchema
from dispatcher.schemas.wire.resources.shared import TIMES


class InboxFileSchema(WireSchema):
    """An inbox file."""

    id = Integer(required=True)
    filename = String()
    bytesize = Integer()
    send_to_ocr = Boolean()
    sent_to_ocr_at = DateTime(allow_none=True)
    ocr_status = String(
        allow_none=True, choices=("created", "processing", "processing_failed", "processing_rejected", "processed")
    )
    ocr_completed_at = DateTime(allow_none=True)
    download_url = Url()
    _times = TIMES
