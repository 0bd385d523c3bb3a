"""Webhooks: the list with their health at a glance, the forms, and one of them with what can be done with it.

Its signing secret is shown on demand only.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from werkzeug.exceptions import Forbidden

from dispatcher import clock
from dispatcher.api.http import ROW_ID, container
from dispatcher.api.query import PAGE_SIZE, cursor, one_of, tag
from dispatcher.console import charts, filters
from dispatcher.console.catalogue import event_groups
from dispatcher.console.credentials import days_left, read_credentials, shown_credentials, typed_credentials
from dispatcher.console.overview import pauses
from dispatcher.console.page import READ_ONLY, account, blueprint, is_part, page, person, redirect_to, visible
from dispatcher.errors import InvalidWebhook, TooManyPings, WebhookNotFound
from dispatcher.model.webhook import POLL_URL, SigningSecret, Webhook
from dispatcher.schemas import active
from dispatcher.schemas.api.headers import read_lines
from dispatcher.schemas.api.options import read_number, read_schedule, read_words
from dispatcher.schemas.catalogue import FIRST, OPERATIONAL_EVENTS
from dispatcher.schemas.wildcards import is_wildcard
from dispatcher.storage.admin import webhooks
from dispatcher.storage.pipeline import polls
from dispatcher.storage.reads import delivery_pages
from dispatcher.storage.reads import webhooks as webhook_reads
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.reads.webhooks import STATUSES, WAITING_CAP, WebhookSummary
from dispatcher.storage.stats import rollups
from dispatcher.webhooks import edit as edits
from dispatcher.webhooks import polling, secrets, versions
from dispatcher.webhooks.preview import payload_preview, preview

_ONE = f"/accounts/<slug>/webhooks/<{ROW_ID}:webhook_id>"
_RECENT = 8
"""Deliveries on a webhook's page."""
_PATHS = ("only_fields", "excluded_fields")
_TEXTS = ("webhook_url", "description", "payload_version", "signing", "ordering")


@blueprint.route("/accounts/<slug>/webhooks", endpoint="webhooks")
def list_() -> Response:
    """40 a page, oldest first, narrowed by the form."""
    after, problems = min(cursor("after") or 0, 2**31 - 1), dict[str, str]()
    narrowed: dict[str, Any] = {name: filters.field(name, parse, problems) for name, parse in _FILTERS.items()}
    narrowed |= {"after": after, "limit": PAGE_SIZE + 1}
    rows = [] if problems else container().storage.read(webhook_reads.page, account().id, **narrowed)
    shown, has_more = filters.split_page(rows)
    return page(
        "webhooks.html",
        webhooks=shown,
        event_counts={one.id: len(active().subscribed(one.events)) for one in shown},
        sparklines=_sparklines([one.id for one in shown]),
        pauses=pauses(),
        after=shown[-1].id if has_more else None,
        is_first=not after,
        filter=_Narrowed({name: narrowed[name] for name in _FILTERS}, problems),
        statuses=STATUSES,
        event_names=active().names,
    )


_FILTERS: Mapping[str, Callable[[str], str]] = {
    "status": one_of(STATUSES),
    "event_name": lambda text: one_of(active().names)(text),
    "tag": tag,
    "text": lambda text: text[:200],
}


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """The form of the list."""

    values: Mapping[str, str | None]
    problems: Mapping[str, str]

    @property
    def query(self) -> dict[str, str]:
        return {name: value for name, value in self.values.items() if value}

    @property
    def is_empty(self) -> bool:
        return not self.query and not self.problems


@blueprint.route(_ONE, endpoint="webhook")
def show(webhook_id: int) -> Response:
    """One webhook, with what can be done with it."""
    return webhook_page(webhook_id)


def webhook_page(webhook_id: int, status: int = 200, **result: Any) -> Response:
    """The page of one webhook, with the result of an action; raises WebhookNotFound."""
    webhook = find_webhook(webhook_id)
    return page(
        "webhook.html",
        status,
        webhook=webhook,
        summary=_summary(webhook_id),
        groups=_event_groups(active().subscribed(webhook.events)),
        test_events=[("", "ping"), *((name, name) for name in active().events)],
        wildcards=[name for name in webhook.events if is_wildcard(name)],
        sparkline=_sparklines([webhook_id])[webhook_id],
        pause_s=pauses().get(webhook_id),
        pins=versions.pins(webhook),
        certificate_days=days_left(webhook.client_certificate, clock.now()),
        recent=[visible(one) for one in _recent(webhook_id)],
        lag=container().storage.read(polls.lag, webhook_id, WAITING_CAP) if webhook.delivery == "poll" else None,
        **result,
    )


def _recent(webhook_id: int) -> Sequence[DeliveryRow]:
    read = delivery_pages.page
    return container().storage.transact(read, account().slug, webhook_id=webhook_id, limit=_RECENT).deliveries


def find_webhook(webhook_id: int) -> Webhook:
    """A webhook of this page's account; raises WebhookNotFound."""
    storage = container().storage
    return storage.read(webhooks.find, storage.secrets, account().id, webhook_id)


@blueprint.route("/accounts/<slug>/webhooks/new", endpoint="new_webhook")
def new() -> Response:
    """The empty form."""
    _check_may_write()
    return _form(None, {"active": True, "payload_version": "v3", "signing": "standard", "ordering": "none"}, {})


@blueprint.route("/accounts/<slug>/webhooks", methods=["POST"], endpoint="create_webhook")
def create() -> Response:
    """A new webhook, or the form with what is wrong."""
    attributes = _attributes()
    try:
        parts = container()
        created = edits.create_webhook(parts.storage, account().slug, attributes, settings=parts.settings)
    except InvalidWebhook as invalid:
        return _form(None, attributes, invalid.messages, 422)
    return redirect_to("webhook", "created", webhook_id=created.id)


@blueprint.route(f"{_ONE}/edit", endpoint="edit_webhook")
def edit(webhook_id: int) -> Response:
    """The form with what it is now; not for read-only users, as a URL may hold its receiver's token."""
    _check_may_write()
    webhook = find_webhook(webhook_id)
    return _form(webhook, {name: getattr(webhook, name) for name in webhooks.WRITABLE}, {})


@blueprint.route(f"{_ONE}/edit", methods=["POST"], endpoint="save_webhook")
def save(webhook_id: int) -> Response:
    """Stores the form, or shows it with what is wrong. An auth header that is left empty stays as it is."""
    webhook, changes = find_webhook(webhook_id), _attributes()
    if "auth_header" not in changes and request.form.get("remove_auth_header"):
        changes["auth_header"] = None
    try:
        _edit(webhook_id, changes)
    except InvalidWebhook as invalid:
        return _form(webhook, changes, invalid.messages, 422)
    return redirect_to("webhook", "saved", webhook_id=webhook_id)


@blueprint.route(f"{_ONE}/ping", methods=["POST"])
def ping(webhook_id: int) -> Response:
    """Sends a ping, or the example of an event, and shows the response."""
    requested = {"event_name": request.form.get("event_name") or None}
    try:
        pinged = visible(container().pinger.ping(account().slug, webhook_id, requested))
    except TooManyPings as error:
        problem = str(error)
        return page("ping.html", problem=problem) if is_part() else webhook_page(webhook_id, 503, ping_problem=problem)
    shown: dict[str, Any] = {"ping": pinged, "success_codes": find_webhook(webhook_id).success_codes}
    return page("ping.html", **shown) if is_part() else webhook_page(webhook_id, **shown)


@blueprint.route(f"{_ONE}/secret", methods=["POST"])
def reveal_secret(webhook_id: int) -> Response:
    """The signing secret."""
    return _secret(webhook_id, secrets.show(container().storage, account().id, webhook_id))


@blueprint.route(f"{_ONE}/secret/rotate", methods=["POST"])
def rotate_secret(webhook_id: int) -> Response:
    """A new signing secret; the previous one also signs for a day."""
    return _secret(webhook_id, secrets.rotate(container().storage, account().id, webhook_id))


@blueprint.route(f"{_ONE}/poll_token", methods=["POST"])
def rotate_poll_token(webhook_id: int) -> Response:
    """A new token to fetch its deliveries with; the previous one goes on for a day."""
    token = polling.rotate_token(container().storage, account().id, webhook_id)
    shown = SigningSecret(secret=token.token, public_key=None, previous_valid_until=token.previous_valid_until)
    return _secret(webhook_id, shown) if is_part() else webhook_page(webhook_id, poll_token=shown)


@blueprint.route(f"{_ONE}/pause", methods=["POST"])
def pause(webhook_id: int) -> Response:
    """Makes it inactive."""
    _edit(webhook_id, {"active": False})
    return redirect_to("webhook", "paused", webhook_id=webhook_id)


@blueprint.route(f"{_ONE}/activate", methods=["POST"])
def activate(webhook_id: int) -> Response:
    """Makes it active; its pending deliveries resume."""
    _edit(webhook_id, {"active": True})
    return redirect_to("webhook", "activated", webhook_id=webhook_id)


@blueprint.route(f"{_ONE}/upgrade", methods=["POST"])
def upgrade(webhook_id: int) -> Response:
    """Pins it to the newest version of an event, or of all, from the next attempt on."""
    name = request.form.get("event_name")
    pins = {name: versions.newest().get(name, FIRST)} if name else versions.NEWEST
    try:
        _edit(webhook_id, {"event_versions": pins})
    except InvalidWebhook as invalid:
        problem = "; ".join(invalid.texts)
        return webhook_page(webhook_id, 422, upgrade_problem=problem)
    return redirect_to("webhook", "upgraded", webhook_id=webhook_id)


@blueprint.route(f"{_ONE}/delete", methods=["POST"])
def delete_webhook(webhook_id: int) -> Response:
    """Deletes it; its pending deliveries are cancelled."""
    edits.delete_webhook(container().storage, account().slug, webhook_id)
    return redirect_to("webhooks", "deleted")


def _edit(webhook_id: int, changes: Mapping[str, Any]) -> None:
    parts = container()
    edits.edit_webhook(parts.storage, parts.schedule, account().slug, webhook_id, changes, settings=parts.settings)


def _secret(webhook_id: int, secret: SigningSecret) -> Response:
    return page("secret.html", secret=secret) if is_part() else webhook_page(webhook_id, secret=secret)


@blueprint.route("/accounts/<slug>/webhooks/filter_preview", methods=["POST"], endpoint="preview_filter")
def preview_filter() -> Response:
    """A part: how many of the last events the form's filter would have matched."""
    attributes = _attributes()
    try:
        requested = {"filter": attributes["filter"], "events": attributes["events"]}
        return page("filter_preview.html", preview=preview(container().storage, account().id, requested))
    except InvalidWebhook as invalid:
        return page("filter_preview.html", problems=invalid.texts)


@blueprint.route(f"{_ONE}/payload_preview", methods=["POST"], endpoint="preview_payload")
def preview_payload(webhook_id: int) -> Response:
    """A part: what the form's webhook would be sent of its last event. A new webhook's id is 0."""
    try:
        attributes, before = _attributes(), find_webhook(webhook_id) if webhook_id else None
        body, is_real = payload_preview(
            container().storage, account(), before, attributes, may_read=person().sees_personal
        )
    except InvalidWebhook as invalid:
        return page("payload_preview.html", problems=invalid.texts)
    limit = attributes["payload_limit"] or len(body)
    return page("payload_preview.html", payload=json.loads(body), size=len(body), is_real=is_real, limit=limit)


def _event_groups(chosen: Collection[str]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Every event by its resource, with whether it is chosen; the dispatcher's own events come last."""
    groups = {
        group: [(event.name, event.name in chosen) for event in events] for group, events in event_groups().items()
    }
    groups["dispatcher"] = [(name, name in chosen) for name in sorted(OPERATIONAL_EVENTS)]
    return list(groups.items())


def _check_may_write() -> None:
    if not person().may_write:
        raise Forbidden(READ_ONLY)


def _form(
    webhook: Webhook | None, values: Mapping[str, Any], problems: Mapping[str, Any], status: int = 200
) -> Response:
    groups, filter_ = _event_groups(values.get("events", ())), values.get("filter")
    wildcards = " ".join(name for name in values.get("events", ()) if name not in active().names)
    filter_text = filter_ if isinstance(filter_, str) else filter_ and json.dumps(filter_, indent=2, ensure_ascii=False)
    if problems:  # what is secret is not shown, also where it was written a moment ago
        secrets = {name: any((values.get(name) or {}).values()) for name in ("secret_headers", "credentials")}
        typed = {"auth_header": values.get("auth_header"), **secrets, **typed_credentials(values)}
        problems = {**{name: "Enter it again: it is not shown" for name, one in typed.items() if one}, **problems}
    shown = {
        **values,
        "filter": filter_text or "",
        "wildcards": wildcards,
        "secret_headers": dict.fromkeys(values.get("secret_headers", ())),
        **shown_credentials(values),
        "credentials": dict.fromkeys(values.get("credentials") or ()),
    }
    return page("webhook_form.html", status, webhook=webhook, values=shown, problems=problems, groups=groups)


def _attributes() -> dict[str, Any]:
    form = request.form
    attributes: dict[str, Any] = {name: form.get(name, "").strip() for name in _TEXTS}
    if attributes["webhook_url"] == POLL_URL:
        attributes["delivery"] = "poll"
    attributes["description"] = attributes["description"] or None
    attributes["tags"] = list(dict.fromkeys(_listed("tags")))
    attributes["metadata"] = read_lines(form.get("metadata", "").splitlines())
    attributes["events"] = [*_listed("wildcards"), *form.getlist("events")]
    attributes["signature_schemes"] = form.getlist("signature_schemes")
    attributes["signature_prefixes"] = _listed("signature_prefixes")
    attributes["signature_header"] = form.get("signature_header", "").strip() or None
    attributes["superseding"] = bool(form.get("superseding"))
    attributes["filter"] = _json_or_text(form.get("filter", "").strip())
    for name in _PATHS:
        attributes[name] = _listed(name)
    for name in ("rate_limit", "payload_limit", "timeout_s"):
        attributes[name] = read_number(form.get(name, ""))
    attributes["retry_schedule"] = read_schedule(form.get("retry_schedule", ""))
    attributes["success_codes"] = read_words(form.get("success_codes", ""))
    attributes["headers"] = read_lines(form.get("headers", "").splitlines())
    attributes["destination"] = read_lines(form.get("destination", "").splitlines()) or None
    for name, empty in (("secret_headers", {}), ("credentials", None)):
        secret = read_lines(form.get(name, "").splitlines())
        attributes[name] = {key: value or None for key, value in secret.items()} or empty
    attributes |= read_credentials(form)
    if auth_header := form.get("auth_header", "").strip():
        attributes["auth_header"] = auth_header
    return attributes


def _listed(name: str) -> list[str]:
    """The words of a field, apart by commas or blanks."""
    return request.form.get(name, "").replace(",", " ").split()


def _json_or_text(text: str) -> Any:
    """What was written, parsed; text that is no JSON is refused later, and shown again."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return text


def _summary(webhook_id: int) -> WebhookSummary:
    summaries = container().storage.read(webhook_reads.page, account().id, webhook_id=webhook_id, limit=1)
    if not summaries:
        raise WebhookNotFound(webhook_id)
    return summaries[0]


def _sparklines(webhook_ids: list[int]) -> dict[int, charts.Sparkline]:
    days = container().storage.read(rollups.last_day, webhook_ids)
    now = clock.now()
    return {id_: charts.sparkline(days.get(id_, []), now) for id_ in webhook_ids}
