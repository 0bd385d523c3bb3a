"""Deliveries: the list with its filter, one of them with every attempt, and sending again."""

import json
import shlex
from typing import Any

from flask import Response, request

from dispatcher.api.paging import PAGE_SIZE
from dispatcher.api.parts import container
from dispatcher.console import filters
from dispatcher.console.explanations import why_then
from dispatcher.console.formatting import without_query
from dispatcher.console.overview import pauses
from dispatcher.console.page import account, blueprint, finished, for_eyes_of, go, page, person
from dispatcher.console.webhooks import stored
from dispatcher.errors import DeliveryNotFound, IllegalTransition, WebhookNotFound
from dispatcher.model.delivery import Claimed
from dispatcher.model.webhook import PayloadVersion, Target, Webhook
from dispatcher.payload import render
from dispatcher.pipeline.emit import RESOURCE_KEYS
from dispatcher.replays.one import replay
from dispatcher.storage.engine import Connection
from dispatcher.storage.reads import deliveries as delivery_reads
from dispatcher.storage.reads import delivery_pages, delivery_status, events, webhooks
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.reads.delivery_pages import LOOKS, Page
from dispatcher.storage.reads.events import Search
from schemas.wire.payload import LEGACY_EVENTS

_ONE = "/accounts/<slug>/deliveries/<int:delivery_id>"
_BODY_SHOWN = 10_000
"""Characters of a receiver's answer that are shown."""


@blueprint.route("/accounts/<slug>/deliveries", endpoint="deliveries")
def list_() -> Response:
    """40 a page, newest first."""
    wanted = filters.read()
    found, is_whole = _found(wanted)
    deliveries = [for_eyes_of(person(), one) for one in found.deliveries]
    names = container().storage.read(webhooks.names, account().id)
    return page(
        "deliveries.html",
        filter=wanted,
        deliveries=deliveries,
        webhooks=names,
        event_names=filters.NAMES,
        states=filters.STATES,
        before=found.before,
        looked_at=sum(LOOKS) if found.before is not None and len(found.deliveries) < PAGE_SIZE else None,
        is_whole=is_whole,
        statuses={one.id: one.attempts[0].status for one in deliveries if one.attempts},
    )


@blueprint.route(_ONE, endpoint="delivery")
def show(delivery_id: int) -> Response:
    """One delivery."""
    return page("delivery.html", **_about(delivery_id))


@blueprint.route(f"{_ONE}/progress", endpoint="delivery_progress")
def progress(delivery_id: int) -> Response:
    """The part of the page that changes while it is pending."""
    about = _about(delivery_id)
    answer = page("delivery_progress.html", **about)
    return answer if about["wait"] else finished(answer)


@blueprint.route(f"{_ONE}/redeliver", methods=["POST"], endpoint="redeliver")
def redeliver(delivery_id: int) -> Response:
    """Sends it once more: the same Idempotency-Key, its tries start anew."""
    try:
        _again(delivery_id)
    except IllegalTransition as illegal:
        return page("delivery.html", 409, **_about(delivery_id), problem=str(illegal))
    return go("delivery", "redelivered", delivery_id=delivery_id)


@blueprint.route("/accounts/<slug>/deliveries/redeliver", methods=["POST"], endpoint="redeliver_many")
def redeliver_many() -> Response:
    """Sends those that were chosen once more; what waits anyway is passed by."""
    chosen = [int(text) for text in request.form.getlist("id") if text.isdecimal() and len(text) < 19][:PAGE_SIZE]
    back = {name: request.form[f"filter_{name}"] for name in _BACK if request.form.get(f"filter_{name}")}
    sent = sum(_could_again(id_) for id_ in chosen)
    return go("deliveries", "redelivered_many" if chosen else "none_chosen", n=sent, **back)


_BACK = ("webhook_id", "event_name", "state", "since", "until", "resource_id", "idempotency_key")


def _found(wanted: filters.Filter) -> tuple[Page, bool]:
    """A page; whether all was looked at (a search by resource looks at the newest events only)."""
    if wanted.problems:
        return Page(deliveries=(), before=None), True

    def look(connection: Connection) -> tuple[Page, bool]:
        search = Search(ids=(), is_whole=True)
        ids = None
        if wanted.resource_id is not None:
            search = events.search(
                connection, account().id, wanted.resource_id, RESOURCE_KEYS,
                name=wanted.event_name, since=None, until=wanted.until,
            )  # fmt: skip
            ids = events.delivery_ids(connection, search.ids)
        found = delivery_pages.page(
            connection,
            account().slug,
            limit=PAGE_SIZE,
            webhook_id=wanted.webhook_id,
            event_name=wanted.event_name,
            state=wanted.state,
            idempotency_key=wanted.idempotency_key,
            since=wanted.since,
            until=wanted.until,
            before=wanted.before,
            ids=ids,
        )
        return found, search.is_whole

    return container().storage.transact(look)


def _about(delivery_id: int) -> dict[str, Any]:
    storage = container().storage

    def look(connection: Connection) -> tuple[DeliveryRow, delivery_status.WaitReason | None]:
        found = delivery_reads.delivery(connection, str(delivery_id), account_id=account().id)
        return found, delivery_status.find(connection, delivery_id)

    found, wait = storage.transact(look)
    found = for_eyes_of(person(), found)
    webhook = _webhook(found.webhook_id)
    body = _body(found, webhook)
    why = wait and why_then(wait, pauses().get(found.webhook_id), container().settings)
    return {
        "delivery": found,
        "webhook": webhook,
        "wait": wait,
        "why": why,
        "payload": json.loads(body),
        "curl": _curl(found, webhook, body),
        "body_shown": _BODY_SHOWN,
        "may_redeliver": wait is None and webhook is not None,
    }


def _webhook(webhook_id: int) -> Webhook | None:
    """None where it was deleted."""
    try:
        return stored(webhook_id)
    except WebhookNotFound:
        return None


def _body(delivery: DeliveryRow, webhook: Webhook | None) -> bytes:
    """What is POSTed, byte for byte."""
    claimed = Claimed(
        id=delivery.id,
        webhook_id=delivery.webhook_id,
        idempotency_key=str(delivery.idempotency_key),
        attempt_number=1,
        lease_token="",
        event_name=delivery.event_name,
        event_created_at=delivery.event_created_at,
        body_json=delivery.body_json,
        time_zone=delivery.time_zone,
    )
    # A legacy webhook has no other events; but where an event is gone, nobody knows what was sent.
    is_legacy = webhook is not None and delivery.event_name in LEGACY_EVENTS
    version = webhook.payload_version if webhook is not None and is_legacy else PayloadVersion.V3
    target = Target(webhook_id=delivery.webhook_id, url="", auth_header=None, signing_keys=(), payload_version=version)
    return render(claimed, target)


def _curl(delivery: DeliveryRow, webhook: Webhook | None, body: bytes) -> str:
    """A command that sends the same; without what is secret: the auth header, the signature, the URL's query."""
    headers = ["Content-Type: application/json", f"Idempotency-Key: {delivery.idempotency_key}"]
    lines = [f"curl -X POST {shlex.quote(without_query(delivery.webhook_url))}"]
    lines += [f"-H {shlex.quote(header)}" for header in headers]
    if webhook is not None and webhook.auth_header:
        lines.append('-H "Authorization: $AUTH_HEADER"')
    return " \\\n  ".join([*lines, f"-d {shlex.quote(body.decode())}"])


def _again(delivery_id: int) -> None:
    parts = container()
    limit = parts.settings.redelivery_limit
    replay(parts.storage, parts.schedule, str(delivery_id), limit=limit, account_id=account().id)


def _could_again(delivery_id: int) -> bool:
    try:
        _again(delivery_id)
    except (IllegalTransition, DeliveryNotFound):
        return False
    return True
