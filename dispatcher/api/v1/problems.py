"""Errors of /api/v1: problem details (RFC 9457), with a `code` for programs and what is wrong by field."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from dispatcher.api.http import Answer, json_text

PREFIX = "/api/v1"


def is_v1(path: str) -> bool:
    """Whether the path is one of this API."""
    return path.startswith(f"{PREFIX}/")


def problem(
    status: int,
    code: str,
    detail: str,
    fields: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An error response; `fields`: field → text or texts."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if fields is not None:
        body["errors"] = [{"field": field, "detail": text} for field, texts in fields.items() for text in _texts(texts)]
    text = json_text(body)
    sent = {"Content-Type": "application/problem+json", "Content-Length": str(len(text)), **(headers or {})}
    return Answer(status, list(sent.items()), text)


def _texts(texts: str | Sequence[str]) -> Sequence[str]:
    return [texts] if isinstance(texts, str) else texts
