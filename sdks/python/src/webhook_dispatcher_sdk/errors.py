"""What can go wrong with a call. None of it holds a secret, nor a body that was sent.

SdkError
├── NoResponse           no response came
├── UnexpectedResponse   what responded is no such API
└── ApiError             the API responded with an error
    └── NotFound         404
"""

from collections.abc import Mapping, Sequence
from typing import Any


class SdkError(Exception):
    """A call failed."""


class NoResponse(SdkError):
    """No response came: the connection failed, or the time was over. The request may have been carried out."""

    def __init__(self, api: str, cause: Exception) -> None:
        super().__init__(f"{api} did not respond: {type(cause).__name__}")


class UnexpectedResponse(SdkError):
    """A response without JSON: what responded is no such API, or a proxy before it. `status` is that of HTTP."""

    def __init__(self, api: str, status: int) -> None:
        super().__init__(f"{api} responded {status} without JSON")
        self.status = status


class ApiError(SdkError):
    """The API responded with an error.

    `status` is that of HTTP, `code` is for programs (`invalid_attributes`; "" where API v3 gives none), and `fields`
    are the attributes at fault with what is wrong with each. The message is the API's own.
    """

    def __init__(self, status: int, code: str, message: str, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__(message)
        self.status, self.code, self.fields = status, code, fields


class NotFound(ApiError):
    """What the path names does not exist, or belongs to another account."""


def api_error(status: int, body: Any) -> ApiError:
    """The error that a response is: problem details of /api/v1, or one of API v3's two bodies."""
    found = body if isinstance(body, dict) else {}
    errors, fields = found.get("errors"), dict[str, list[str]]()
    if isinstance(errors, list):
        for one in errors:
            fields.setdefault(str(one["field"]), []).append(str(one["detail"]))
    elif isinstance(errors, dict):
        fields = {name: [str(text) for text in texts] for name, texts in errors.items()}
    code = str(found.get("code") or found.get("error") or "")
    text = str(found.get("detail") or found.get("error_description") or f"the API responded {status}")
    message = "; ".join(f"{name} {', '.join(texts)}" for name, texts in fields.items())
    return (NotFound if status == 404 else ApiError)(
        status, code, message or (f"{text} ({code})" if code else text), fields
    )
