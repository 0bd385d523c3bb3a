"""What the flow reports to `dispatcher.tracing`, where that is enabled; it knows no tracing itself."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # a process that emits loads nothing of deliveries
    from dispatcher.model.attempt import Result, Verdict
    from dispatcher.model.delivery import ClaimedDelivery


class EmitSpan(Protocol):
    """The span of an emit under way."""

    @property
    def traceparent(self) -> str | None:
        """What its events carry."""
        ...

    def stored(self, event_ids: Sequence[int]) -> None:
        """Its events are in."""
        ...


TracesEmits = Callable[[Sequence[str], str | None], AbstractContextManager[EmitSpan]]
"""A span around an emit of events of these names, below a traceparent or else the caller's current span."""

TracesFanOut = Callable[[Mapping[int, str], int, datetime], None]
"""Hears of a fan-out's transaction: its events (by id, with their traces), its deliveries, and when it began."""


class NoSpan:
    """The span of an emit that is not traced."""

    traceparent = None

    def stored(self, event_ids: Sequence[int]) -> None:
        """Traces nothing."""


def untraced(names: Sequence[str], traceparent: str | None) -> AbstractContextManager[EmitSpan]:
    """The TracesEmits of a process that traces none."""
    return nullcontext(NoSpan())


class TracesAttempts(Protocol):
    """One drain's attempts."""

    def start(self, delivery: "ClaimedDelivery") -> list[tuple[str, str]]:
        """An attempt begins; returns the headers that hand its trace on to the receiver."""
        ...

    def finish(self, delivery: "ClaimedDelivery", result: "Result", verdict: "Verdict") -> None:
        """The attempt is over."""
        ...
