"""URLs that requests are sent to, as they may be written."""

import re
from urllib.parse import urlsplit

from marshmallow import ValidationError

BLANK, INVALID = "can't be blank", "is invalid"

_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x20\x7f-\xa0\ud800-\udfff\\]")  # \s: the blanks of all scripts
_URL_LIMIT = 2_048


def check_url(url: str) -> None:
    """Absolute, http or https, with a host and a valid port, without credentials.

    Whether its address is public is not asked here but when it is connected to.
    """
    if not url.strip():
        raise ValidationError(BLANK)
    try:
        parts = urlsplit(url)
        fine = (
            parts.scheme.lower() in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
            and "@" not in parts.netloc
        )
    except ValueError:  # a port that is no number, a broken IPv6 address
        fine = False
    if not fine or len(url) > _URL_LIMIT or _BLANK_OR_CONTROL.search(url):
        raise ValidationError(INVALID)
