"""Events: what was emitted, to whom it fanned out, and why it passed the others by."""

from typing import Any

from flask import Response

from dispatcher.api.paging import PAGE_SIZE
from dispatcher.api.parts import container
from dispatcher.console import filters
from dispatcher.console.explanations import why_not
from dispatcher.console.page import account, blueprint, page
from dispatcher.pipeline.emit import RESOURCE_KEYS
from dispatcher.storage.engine import Connection
from dispatcher.storage.reads import events
from dispatcher.storage.reads.events import EmittedEvent


@blueprint.route("/accounts/<slug>/events", endpoint="events")
def list_() -> Response:
    """40 a page, newest first."""
    wanted = filters.read()
    found, is_whole = _found(wanted)
    shown = found[:PAGE_SIZE]
    return page(
        "events.html",
        filter=wanted,
        events=shown,
        event_names=filters.NAMES,
        resources={one.id: resource_of(one) for one in shown},
        before=shown[-1].id if len(found) > PAGE_SIZE else None,
        is_whole=is_whole,
    )


@blueprint.route("/accounts/<slug>/events/<int:event_id>", endpoint="event")
def show(event_id: int) -> Response:
    """One event: its deliveries, and the webhooks that got none with the reason."""

    def look(connection: Connection) -> tuple[Any, ...]:
        event = events.find(connection, account().id, min(event_id, 2**63 - 1))
        deliveries = events.resulting_deliveries(connection, event.id)
        webhooks = events.non_recipients(connection, account().id, [one.webhook_id for one in deliveries])
        return event, deliveries, webhooks

    event, deliveries, webhooks = container().storage.transact(look)
    got = {one.webhook_id for one in deliveries}
    return page(
        "event.html",
        event=event,
        resource=resource_of(event),
        reached=deliveries,
        webhooks={one.id: one for one in webhooks},
        passed_by=[(one, why_not(event, one)) for one in webhooks if one.id not in got and one.deleted_at is None],
    )


def resource_of(event: EmittedEvent) -> tuple[str, str] | None:
    """Kind and id of what the event is about; None of one that is about many."""
    key = RESOURCE_KEYS.get(event.name)
    about = event.body.get(key) if key else None
    return (key, str(about["id"])) if key and isinstance(about, dict) and about.get("id") is not None else None


def _found(wanted: filters.Filter) -> tuple[list[EmittedEvent], bool]:
    if wanted.problems:
        return [], True
    narrowed: dict[str, Any] = {
        "before": wanted.before,
        "name": wanted.event_name,
        "since": wanted.since,
        "until": wanted.until,
    }

    def look(connection: Connection) -> tuple[list[EmittedEvent], bool]:
        ids, is_whole = None, True
        if wanted.resource_id is not None:
            search = events.search(connection, account().id, wanted.resource_id, RESOURCE_KEYS, **narrowed)
            ids, is_whole = search.ids, search.is_whole
        return events.page(connection, account().id, limit=PAGE_SIZE + 1, ids=ids, **narrowed), is_whole

    return container().storage.transact(look)
