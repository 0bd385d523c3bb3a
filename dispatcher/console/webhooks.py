"""Webhooks: the list with their health at a glance, one of them, and the forms to create and to edit."""

from collections.abc import Mapping
from typing import Any

from flask import Response, request
from werkzeug.exceptions import Forbidden

from dispatcher import clock
from dispatcher.api.paging import PAGE_SIZE, cursor
from dispatcher.api.parts import ROW_ID, container
from dispatcher.console import charts, filters
from dispatcher.console.overview import pauses
from dispatcher.console.page import NO_CHANGES, account, blueprint, go, page, person
from dispatcher.errors import InvalidWebhook, WebhookNotFound
from dispatcher.model.webhook import Webhook
from dispatcher.storage.admin import webhooks
from dispatcher.storage.reads import webhooks as webhook_reads
from dispatcher.storage.reads.webhooks import WebhookSummary
from dispatcher.storage.stats import rollups
from dispatcher.webhooks import edit as edit_webhook
from schemas import EVENT_TYPES
from schemas.wire.catalogue import OPERATIONAL_EVENTS

_ONE = f"/accounts/<slug>/webhooks/<{ROW_ID}:webhook_id>"
_TEXTS = ("webhook_url", "description", "payload_version", "signing", "ordering")


@blueprint.route("/accounts/<slug>/webhooks", endpoint="webhooks")
def list_() -> Response:
    """40 a page, oldest first."""
    after = cursor("after") or 0
    found = container().storage.read(webhook_reads.page, account().id, after=min(after, 2**31 - 1), limit=PAGE_SIZE + 1)
    shown = found[:PAGE_SIZE]
    return page(
        "webhooks.html",
        webhooks=shown,
        sparklines=_sparklines([one.id for one in shown]),
        pauses=pauses(),
        after=shown[-1].id if len(found) > PAGE_SIZE else None,
        is_first=not after,
    )


@blueprint.route(_ONE, endpoint="webhook")
def show(webhook_id: int) -> Response:
    """One webhook, with what can be done with it."""
    return shown(webhook_id)


def shown(webhook_id: int, status: int = 200, **more: Any) -> Response:
    """The page of one webhook; `more` is what an action has answered. Raises WebhookNotFound."""
    return page("webhook.html", status, **about(webhook_id), **more)


def stored(webhook_id: int) -> Webhook:
    """A webhook of this page's account; raises WebhookNotFound."""
    storage = container().storage
    return storage.read(webhooks.find, storage.secrets, account().id, webhook_id)


def about(webhook_id: int) -> dict[str, Any]:
    """What the page of one webhook shows; raises WebhookNotFound."""
    webhook = stored(webhook_id)
    return {
        "webhook": webhook,
        "line": _line(webhook_id),
        "groups": event_groups(webhook.events),
        "sparkline": _sparklines([webhook_id])[webhook_id],
        "pause_s": pauses().get(webhook_id),
    }


@blueprint.route("/accounts/<slug>/webhooks/new", endpoint="new_webhook")
def new() -> Response:
    """The empty form."""
    _check_may_write()
    return _form(None, {"active": True, "payload_version": "v3", "signing": "standard", "ordering": "none"}, {})


@blueprint.route("/accounts/<slug>/webhooks", methods=["POST"], endpoint="create_webhook")
def create() -> Response:
    """A new webhook, or the form with what is wrong."""
    given = _given()
    if auth_header := request.form.get("auth_header", "").strip():
        given["auth_header"] = auth_header
    try:
        made = edit_webhook.create_webhook(container().storage, account().slug, given)
    except InvalidWebhook as invalid:
        return _form(None, given, invalid.messages, 422)
    return go("webhook", "created", webhook_id=made.id)


@blueprint.route(f"{_ONE}/edit", endpoint="edit_webhook")
def edit(webhook_id: int) -> Response:
    """The form with what it is now; not for who may only look, as a URL may hold its receiver's token."""
    _check_may_write()
    webhook = stored(webhook_id)
    attributes = {name: getattr(webhook, name) for name in (*_TEXTS, "events", "rate_limit", "superseding")}
    return _form(webhook, attributes, {})


@blueprint.route(f"{_ONE}/edit", methods=["POST"], endpoint="save_webhook")
def save(webhook_id: int) -> Response:
    """Stores the form, or shows it with what is wrong. An auth header that is left empty stays as it is."""
    webhook, given = stored(webhook_id), _given()
    if request.form.get("auth_header", "").strip():
        given["auth_header"] = request.form["auth_header"].strip()
    elif request.form.get("remove_auth_header"):
        given["auth_header"] = None
    try:
        edit_webhook.edit_webhook(container().storage, container().schedule, account().slug, webhook_id, given)
    except InvalidWebhook as invalid:
        return _form(webhook, given, invalid.messages, 422)
    return go("webhook", "saved", webhook_id=webhook_id)


def event_groups(chosen: Any = ()) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Every event by its resource, with whether it is chosen; what the dispatcher itself tells comes last."""
    groups: dict[str, list[tuple[str, bool]]] = {}
    for name, event in EVENT_TYPES.items():
        resource = "inbox_file" if event.bulk else event.resource
        groups.setdefault(resource.replace("_", " "), []).append((name, name in chosen))
    groups["dispatcher"] = [(name, name in chosen) for name in sorted(OPERATIONAL_EVENTS)]
    return list(groups.items())


def _check_may_write() -> None:
    if not person().may_write:
        raise Forbidden(NO_CHANGES)


def _form(
    webhook: Webhook | None, attributes: Mapping[str, Any], problems: Mapping[str, Any], status: int = 200
) -> Response:
    return page(
        "webhook_form.html",
        status,
        webhook=webhook,
        given=attributes,
        problems=problems,
        groups=event_groups(attributes.get("events", ())),
    )


def _given() -> dict[str, Any]:
    """The form as the API would have it."""
    form = request.form
    given: dict[str, Any] = {name: form.get(name, "").strip() for name in _TEXTS}
    given["description"] = given["description"] or None
    given["events"] = form.getlist("events")
    given["superseding"] = bool(form.get("superseding"))
    given["rate_limit"] = filters.rate(form.get("rate_limit", ""))
    return given


def _line(webhook_id: int) -> WebhookSummary:
    found = container().storage.read(webhook_reads.page, account().id, webhook_id=webhook_id, limit=1)
    if not found:
        raise WebhookNotFound(webhook_id)
    return found[0]


def _sparklines(webhook_ids: list[int]) -> dict[int, charts.Sparkline]:
    days = container().storage.read(rollups.last_day, webhook_ids)
    now = clock.now()
    return {id_: charts.sparkline(days.get(id_, []), now) for id_ in webhook_ids}
