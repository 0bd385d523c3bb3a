"""Makes the sender that Settings name. Each is imported only when chosen: pycurl has no wheel for some machines."""

import importlib
from typing import cast

from dispatcher.errors import InvalidSetting
from dispatcher.sender.contract import Limits, Sender

_SENDERS = {
    "curl": ("dispatcher.sender.curl", "CurlSender"),
    "requests": ("dispatcher.sender.portable", "RequestsSender"),
}


def make_sender(name: str, limits: Limits) -> Sender:
    """A new sender, `curl` or `requests`, for one thread. Raises InvalidSetting where its library is missing."""
    if name not in _SENDERS:
        raise InvalidSetting("DISPATCHER_SENDER", f"must be one of: {', '.join(_SENDERS)}")
    module, class_name = _SENDERS[name]
    try:
        kind = getattr(importlib.import_module(module), class_name)
    except ImportError as error:
        raise InvalidSetting(
            "DISPATCHER_SENDER", f"`{name}` needs {error.name}, which cannot be imported here; `requests` always works"
        ) from error
    return cast(Sender, kind(limits))
