"""One named signal for each event of the catalogue: `signals.invoice_paid.send("applecorp", invoice=..., payment=...)`.

The sender is the account's slug, the keywords are those of `dispatcher.emit`. The receiver built in records the event;
others may listen too, and what they raise reaches the sender, as blinker has it.
"""

from typing import Any

from blinker import NamedSignal, Namespace

from dispatcher import emit
from dispatcher.schemas import EVENT_TYPES

namespace = Namespace()


def _signal(name: str) -> NamedSignal:
    signal = namespace.signal(name)

    def record(sender: str, **emitted: Any) -> Any:
        """The event that was recorded."""
        return emit(name, account=sender, **emitted)

    signal.connect(record, weak=False)
    return signal


globals().update({name: _signal(name) for name in EVENT_TYPES})


def __getattr__(name: str) -> NamedSignal:
    raise AttributeError(f"there is no event {name!r} in the catalogue")
