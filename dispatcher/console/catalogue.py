"""The catalogue: which events there are, what their bodies hold, version by version, and who subscribes to them."""

import json
from collections.abc import Mapping

from flask import Response, request
from werkzeug.exceptions import NotFound

from dispatcher.api.http import container
from dispatcher.api.query import PAGE_SIZE
from dispatcher.console import filters
from dispatcher.console.page import account, blueprint, page
from dispatcher.schemas import EventType, active
from dispatcher.schemas.catalogue import OPERATIONAL_EVENTS
from dispatcher.schemas.changes import version_changes
from dispatcher.storage.reads import webhooks


@blueprint.route("/accounts/<slug>/catalogue", endpoint="catalogue")
def list_() -> Response:
    """By group; those of the dispatcher itself come last."""
    return page("catalogue.html", groups=event_groups(), operational=sorted(OPERATIONAL_EVENTS))


@blueprint.route("/accounts/<slug>/catalogue/<name>", endpoint="event_type")
def show(name: str) -> Response:
    """One event, in its newest version or another."""
    newest = active().events.get(name)
    version = request.args.get("version", "")
    event = newest and newest.versions.get(int(version) if version.isdecimal() and len(version) < 6 else newest.version)
    if newest is None or event is None:
        raise NotFound
    rows = container().storage.read(webhooks.page, account().id, event_name=name, limit=PAGE_SIZE + 1)
    subscribers, has_more = filters.split_page(rows)
    return page(
        "event_type.html",
        event=event,
        newest=newest,
        changes=version_changes(name, event.previous.schema, event.schema) if event.previous else [],
        schema=_written(event.schema),
        example=_written(event.example),
        subscribers=subscribers,
        has_more=has_more,
    )


def event_groups() -> dict[str, list[EventType]]:
    """Every event of the catalogues by its group, or its resource."""
    groups: dict[str, list[EventType]] = {}
    resource = ""
    for event in active().events.values():
        resource = event.resource if not event.bulk or not resource else resource  # a summary is with what it sums up
        groups.setdefault((event.group or resource).replace("_", " "), []).append(event)
    return groups


def _written(value: Mapping[str, object]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
