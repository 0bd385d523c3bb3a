"""What a change makes different, as it may be shown and kept: without secrets."""

from collections.abc import Mapping
from typing import Any

from dispatcher.model.options import SECRET_OPTIONS

_SECRET = "(hidden)"  # noqa: S105 - what is shown in the place of one


def differences(before: object, after: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """Attribute → before and after, of those in `after` that differ."""
    changed = {}
    for name, value in after.items():
        was = getattr(before, name)
        was, value = (list(one) if isinstance(one, tuple) else one for one in (was, value))
        if was != value:
            changed[name] = (shown(name, was), shown(name, value))
    return changed


def shown(name: str, value: object) -> object:
    """Without secrets: a URL's query may hold its receiver's token."""
    if name == "webhook_url":
        return str(value).partition("?")[0]
    if name == "oauth2" and value is not None:
        parts = value if isinstance(value, Mapping) else {"token_url": getattr(value, "token_url", "")}
        return {"token_url": str(parts.get("token_url")).partition("?")[0], "client_secret": _SECRET}
    if name in SECRET_OPTIONS:
        return _SECRET if value else None
    return _SECRET if name == "auth_header" and value is not None else value
