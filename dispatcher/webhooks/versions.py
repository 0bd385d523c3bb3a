"""The versions of events to which a webhook is pinned: for what has several, the newest one when it subscribed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dispatcher.errors import InvalidWebhook
from dispatcher.model.webhook import Webhook
from dispatcher.schemas import EventType, InvalidEvent, active
from dispatcher.schemas.catalogue import FIRST
from dispatcher.schemas.changes import EventChange, version_changes
from dispatcher.schemas.errors import DowngradeFailed
from dispatcher.schemas.wire.choices import no_such_event

NEWEST = "newest"
"""In the place of `event_versions`: of every event, for now."""


def newest() -> dict[str, int]:
    """Event → its newest version, where it has several."""
    return {name: event.version for name, event in active().events.items() if event.version != FIRST}


def changed_versions(before: Webhook | None, changes: Mapping[str, Any]) -> Any:
    """A webhook's `event_versions` after a change, or with it (None: it is new).

    What `changes` newly subscribes to comes in its newest version, and what it pins is pinned; the rest stays. Raises
    InvalidWebhook for a version that is not in the catalogue.
    """
    latest, requested = newest(), changes.get("event_versions", {})
    if requested == NEWEST:
        requested = latest
    if not isinstance(requested, Mapping):
        return requested  # which its schema refuses
    if problems := [text for name, version in requested.items() if (text := _problem(name, version))]:
        raise InvalidWebhook({"event_versions": problems})
    pins = latest if before is None else dict(before.event_versions)
    if before is not None and isinstance(changes.get("events"), list):
        subscribed = active().subscribed(name for name in changes["events"] if isinstance(name, str))
        pins |= {
            name: latest[name] for name in set(subscribed) - set(active().subscribed(before.events)) if name in latest
        }
    return {name: version for name, version in {**pins, **requested}.items() if version != FIRST}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """An event of a webhook that has several versions, and how the newest differs from the one that it gets."""

    event: str
    version: int
    newest: int
    changes: Sequence[EventChange]
    example: Mapping[str, Any]
    """That of the newest version, as the webhook gets it."""
    newest_example: Mapping[str, Any]


def pins(webhook: Webhook) -> list[Pin]:
    """Of the events that it subscribes to."""
    latest = newest()
    return [
        _pin(active().events[name], webhook.event_versions.get(name, FIRST))
        for name in active().subscribed(webhook.events)
        if name in latest
    ]


def _pin(event: EventType, version: int) -> Pin:
    pinned = event.versions[min(version, event.version)]
    return Pin(
        event=event.name,
        version=pinned.version,
        newest=event.version,
        changes=version_changes(event.name, pinned.schema, event.schema) if pinned is not event else [],
        example=_downgraded_example(event, pinned),
        newest_example=event.example,
    )


def _downgraded_example(event: EventType, pinned: EventType) -> Mapping[str, Any]:
    try:
        downgraded = event.downgraded(event.render(event.example, "UTC")[0].decode(), pinned.version, "UTC")
    except (InvalidEvent, DowngradeFailed):  # which `dispatcher catalogue check` reports to its author
        return pinned.example
    body: dict[str, Any] = json.loads(downgraded)
    return body


def _problem(name: str, version: object) -> str | None:
    event = active().events.get(name)
    if event is None:
        return no_such_event(name, active().events)
    if type(version) is not int:
        return f"{name}: must be a number from 1 to {event.version}"
    return None if version in event.versions else f"{name} has no version {version!r}, but 1 to {event.version}"
