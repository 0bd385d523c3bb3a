"""What a fan-out transaction did."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class FanOut:
    """Events taken, deliveries created, and the webhooks that now have work, of one transaction."""

    event_count: int
    delivery_count: int
    webhook_ids: tuple[int, ...]
    """Of deliveries that are due; not of those that the fan-out has leased itself."""
    event_ids: tuple[int, ...] = ()
    in_order: bool = False
    """Whether events were left for a fan-out that puts them in order."""
    behind: int | None = None
    """The event, in another fan-out's hands, behind which some of its account were left in the outbox; None: none."""
