"""A named signal for each event of the catalogues: `signals.invoice_paid.send("applecorp", invoice=..., payment=...)`.

Where a name is no identifier: `signals["order.shipped"].send("applecorp", order=...)`.

The sender is the account's slug, the keywords are those of `dispatcher.emit`. The receiver built in records the event;
others may listen too, and what they raise reaches the sender, as blinker has it.
"""

import sys
from types import ModuleType
from typing import Any

from blinker import NamedSignal, Namespace

from dispatcher import emit
from dispatcher.producer import current_emitter
from dispatcher.schemas import active
from dispatcher.schemas.active_catalogues import active_with

namespace = Namespace()


def _signal(name: str) -> NamedSignal:
    """The event's signal, created when it is first asked for."""
    if name in namespace:
        return namespace[name]
    signal = NamedSignal(name)

    def record(sender: str, **emitted: Any) -> Any:
        """The event that was recorded."""
        return emit(name, account=sender, **emitted)

    signal.connect(record, weak=False)
    return namespace.setdefault(name, signal)  # with its receiver: another thread would send to nobody without


def _is_event(name: str) -> bool:
    """Also one whose type was stored a moment ago: the process's emitter knows where to ask."""
    if name in active().events:
        return True
    current_emitter()
    return name in active_with(name).events


def __getattr__(name: str) -> NamedSignal:
    if name.startswith("__") or not _is_event(name):
        raise AttributeError(f"there is no event {name!r} in the catalogue")
    return _signal(name)


class _Signals(ModuleType):
    """A module in which a name can be looked up that is no identifier."""

    def __getitem__(self, name: str) -> NamedSignal:
        if not _is_event(name):
            raise KeyError(f"there is no event {name!r} in the catalogue")
        return _signal(name)


sys.modules[__name__].__class__ = _Signals
