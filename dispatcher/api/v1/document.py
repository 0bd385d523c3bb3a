"""What the operations below /api/v1 have in common, for the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from dispatcher.api.v1.auth import security
from dispatcher.api.v1.idempotency import PARAMETER
from dispatcher.api.v1.problems import PREFIX

JSON = dict[str, Any]

EMIT_PATH = f"{PREFIX}/accounts/{{external_id}}/events"
SCHEME = {
    "service_token": {"type": "http", "scheme": "bearer", "description": "Of `dispatcher service-token create`."},
    "poll_token": {"type": "http", "scheme": "bearer", "description": "Of one polled webhook."},
}

_REF = "#/components/schemas/Problem"
_ERRORS: Mapping[int, str] = {
    400: "The request is malformed",
    401: "The token is missing, unknown, expired or revoked",
    403: "The token lacks the scope, or is for another webhook",
    404: "The record does not exist",
    409: "Another record has this name, or the same request is being processed",
    413: "The body is larger than 5 MiB",
    415: "The body must be JSON",
    422: "Some attributes are invalid",
    429: "The quota of the service token, or of the account for emits, is used up for this minute; see Retry-After",
    503: "The service is unavailable; try again later",
}


def responses() -> JSON:
    """The errors, as components."""
    return {
        f"Problem{status}": {
            "description": text,
            "content": {"application/problem+json": {"schema": {"$ref": _REF}}},
        }
        for status, text in _ERRORS.items()
    }


def complete(operation: JSON, *, has_path_parameters: bool) -> None:
    """Adds the errors with which an operation may be answered."""
    statuses = {400, 401, 403, 429, 503}
    if has_path_parameters:
        statuses.add(404)
    if "requestBody" in operation:
        statuses |= {409, 413, 415, 422}
    if PARAMETER in operation.get("parameters", ()):
        statuses |= {409, 422}
    for status in statuses:
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}


def emit(operation: JSON) -> JSON:
    """POST events, which is answered as API v3's is."""
    return operation | {"operationId": "v1.events.emit", "tags": ["v1_events"], "security": security("events:write")}
