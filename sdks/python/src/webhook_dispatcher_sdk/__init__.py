"""Calls the API of webhook-dispatcher (ServiceClient, AccountClient, PollClient); verifies what it sends (`verify`).

Modules import one another relatively: the server's own package has this one in it, as `dispatcher.sdk`.
"""

from .clients import AccountClient, ServiceClient
from .errors import ApiError, NoResponse, NotFound, SdkError, UnexpectedResponse
from .polling import PollClient, PolledEvent
from .verification import (
    InvalidHeader,
    MissingHeader,
    SignatureMismatch,
    TimestampTooNew,
    TimestampTooOld,
    VerificationFailed,
    verify,
)
from .version import VERSION

__all__ = [
    "VERSION",
    "AccountClient",
    "ApiError",
    "InvalidHeader",
    "MissingHeader",
    "NoResponse",
    "NotFound",
    "PollClient",
    "PolledEvent",
    "SdkError",
    "ServiceClient",
    "SignatureMismatch",
    "TimestampTooNew",
    "TimestampTooOld",
    "UnexpectedResponse",
    "VerificationFailed",
    "verify",
]
