"""Events: what was emitted, which webhooks received it, and why the others did not."""

from typing import Any

from flask import Response

from dispatcher.api.http import container
from dispatcher.api.query import PAGE_SIZE
from dispatcher.console import filters
from dispatcher.console.explanations import why_not_sent
from dispatcher.console.page import account, blueprint, page, person
from dispatcher.representations import event_without_personal
from dispatcher.schemas import active
from dispatcher.schemas.personal import has_personal
from dispatcher.storage.engine import Connection
from dispatcher.storage.reads import events
from dispatcher.storage.reads.events import EmittedEvent


@blueprint.route("/accounts/<slug>/events", endpoint="events")
def list_() -> Response:
    """40 a page, newest first."""
    criteria = filters.read_filter()
    records, is_whole = _read_page(criteria)
    events, has_more = filters.split_page(records)
    return page(
        "events.html",
        filter=criteria,
        events=events,
        event_names=active().names,
        resources={one.id: resource_of(one) for one in events},
        before=events[-1].id if has_more else None,
        is_whole=is_whole,
    )


@blueprint.route("/accounts/<slug>/events/<int:event_id>", endpoint="event")
def show(event_id: int) -> Response:
    """One event: its deliveries, and the webhooks that got none with the reason."""

    def read(connection: Connection) -> tuple[Any, ...]:
        event = events.find(connection, account().id, min(event_id, 2**63 - 1))
        deliveries = events.resulting_deliveries(connection, event.id)
        webhooks = events.non_recipients(connection, account().id, event.id, [one.webhook_id for one in deliveries])
        return event, deliveries, webhooks

    event, deliveries, webhooks = container().storage.transact(read)
    recipients = {one.webhook_id for one in deliveries}
    masked = not person().sees_personal and has_personal(event.name, event.version)
    others = [one for one in webhooks if one.id not in recipients and one.deleted_at is None]
    return page(
        "event.html",
        event=event_without_personal(event) if masked else event,
        masked=masked,
        is_known=event.name in active().events,
        resource=resource_of(event),
        deliveries=deliveries,
        webhooks={one.id: one for one in webhooks},
        not_sent=[(one, why_not_sent(event, one)) for one in others],
    )


def resource_of(event: EmittedEvent) -> tuple[str, str] | None:
    """Kind and id of the resource of an event; None where it has several or none."""
    key, id_ = active().resource_ids.get(event.name, ("", ""))
    resource = event.body.get(key)
    return (key, str(resource[id_])) if isinstance(resource, dict) and resource.get(id_) is not None else None


def _read_page(criteria: filters.Filter) -> tuple[list[EmittedEvent], bool]:
    """A page and one more; whether all events were searched (a search by resource reads the newest ones only)."""
    if criteria.problems:
        return [], True
    narrowed: dict[str, Any] = {
        "before": criteria.before,
        "name": criteria.event_name,
        "since": criteria.since,
        "until": criteria.until,
    }

    def read(connection: Connection) -> tuple[list[EmittedEvent], bool]:
        ids, is_whole = None, True
        if criteria.resource_id is not None:
            search = events.search(connection, account().id, criteria.resource_id, **narrowed)
            ids, is_whole = search.ids, search.is_whole
        return events.page(connection, account().id, limit=PAGE_SIZE + 1, ids=ids, **narrowed), is_whole

    return container().storage.transact(read)
