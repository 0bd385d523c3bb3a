"""Deliveries: the list with its filter, one of them with every attempt, and redelivery."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from flask import Response, request

from dispatcher.api.http import container
from dispatcher.api.query import PAGE_SIZE
from dispatcher.console import filters
from dispatcher.console.formatting import without_query
from dispatcher.console.page import (
    account,
    blueprint,
    confirm,
    is_confirmed,
    page,
    person,
    redirect_to,
    to,
    visible,
    without_polling,
)
from dispatcher.console.sent_headers import HIDDEN, sent_headers
from dispatcher.console.webhooks import find_webhook
from dispatcher.errors import DeliveryNotFound, IllegalTransition, WebhookNotFound
from dispatcher.model.delivery import WaitReason
from dispatcher.model.webhook import PayloadVersion, Webhook
from dispatcher.phrases import counted
from dispatcher.replays import waiting
from dispatcher.replays.one import replay, retry_now
from dispatcher.representations import without_personal
from dispatcher.schemas import active
from dispatcher.schemas.personal import has_personal
from dispatcher.schemas.wire.payload import LEGACY_EVENTS, legacy_json
from dispatcher.storage.engine import Connection
from dispatcher.storage.reads import delivery_pages, events, webhooks
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.reads.delivery_pages import SCANS, Page

_ONE = "/accounts/<slug>/deliveries/<int:delivery_id>"
_NOT_NOW = (WaitReason.INACTIVE, WaitReason.HELD_BACK, WaitReason.KEPT, WaitReason.SENDING)
"""While these keep a delivery, an attempt now is refused."""
_RESPONSE_LIMIT = 10_000
"""Characters of a receiver's response that are shown."""


@blueprint.route("/accounts/<slug>/deliveries", endpoint="deliveries")
def list_() -> Response:
    """40 a page, newest first."""
    criteria = filters.read_filter()
    result, is_whole = _read_page(criteria)
    deliveries = [visible(one) for one in result.deliveries]
    return page(
        "deliveries.html",
        filter=criteria,
        deliveries=deliveries,
        webhooks=container().storage.read(webhooks.names, account().id),
        event_names=active().names,
        states=filters.STATES,
        before=result.before,
        searched=sum(SCANS) if result.before is not None and len(deliveries) < PAGE_SIZE else None,
        is_whole=is_whole,
    )


@blueprint.route(_ONE, endpoint="delivery")
def show(delivery_id: int) -> Response:
    """One delivery."""
    return page("delivery.html", **_details(delivery_id))


@blueprint.route(f"{_ONE}/progress", endpoint="delivery_progress")
def progress(delivery_id: int) -> Response:
    """The part of the page that changes while it is pending."""
    details = _details(delivery_id)
    part = page("delivery_progress.html", **details)
    return part if details["delivery"].waiting else without_polling(part)


@blueprint.route(f"{_ONE}/redeliver", methods=["POST"], endpoint="redeliver")
def redeliver(delivery_id: int) -> Response:
    """Sends it again with the same Idempotency-Key and a new series of attempts; asks first if it was delivered."""
    if not is_confirmed() and _delivered([delivery_id]):
        what = f"Delivery {delivery_id} was delivered already."
        return confirm(1, what, cancel=to("delivery", delivery_id=delivery_id))
    try:
        _redeliver(delivery_id)
    except IllegalTransition as illegal:
        return page("delivery.html", 409, **_details(delivery_id), problem=str(illegal))
    return redirect_to("delivery", "redelivered", delivery_id=delivery_id)


@blueprint.route(f"{_ONE}/retry", methods=["POST"], endpoint="retry")
def retry(delivery_id: int) -> Response:
    """Attempts a pending one now."""
    parts = container()
    try:
        retry_now(parts.storage, parts.schedule, parts.settings, str(delivery_id), account_id=account().id)
    except IllegalTransition as illegal:
        return page("delivery.html", 409, **_details(delivery_id), problem=str(illegal))
    return redirect_to("delivery", "retried", delivery_id=delivery_id)


@blueprint.route("/accounts/<slug>/deliveries/redeliver", methods=["POST"], endpoint="redeliver_many")
def redeliver_many() -> Response:
    """Redelivers those selected; what is pending anyway is left as it is. Asks first if some were delivered."""
    ids = [int(text) for text in request.form.getlist("id") if text.isdecimal() and len(text) < 19][:PAGE_SIZE]
    criteria = {name: request.form[f"filter_{name}"] for name in _CRITERIA if request.form.get(f"filter_{name}")}
    if not is_confirmed() and (delivered := _delivered(ids)):
        what = f"{delivered} of the {counted(len(ids), 'delivery')} selected were delivered already."
        return confirm(len(ids), what, cancel=to("deliveries", **criteria))
    count = 0
    for delivery_id in ids:
        try:
            _redeliver(delivery_id)
            count += 1
        except (IllegalTransition, DeliveryNotFound):
            continue
    return redirect_to("deliveries", "redelivered_many" if ids else "none_selected", count, **criteria)


_CRITERIA = ("webhook_id", "event_name", "state", "since", "until", "resource_id", "idempotency_key")


def _read_page(criteria: filters.Filter) -> tuple[Page, bool]:
    """A page; whether all events were searched (a search by resource reads the newest ones only)."""
    if criteria.problems:
        return Page(deliveries=(), before=None), True

    def read(connection: Connection) -> tuple[Page, bool]:
        ids, is_whole = None, True
        if criteria.resource_id is not None:
            search = events.search(
                connection, account().id, criteria.resource_id,
                name=criteria.event_name, since=None, until=criteria.until,
            )  # fmt: skip
            ids, is_whole = events.delivery_ids(connection, search.ids), search.is_whole
        deliveries = delivery_pages.page(
            connection,
            account().slug,
            limit=PAGE_SIZE,
            webhook_id=criteria.webhook_id,
            event_name=criteria.event_name,
            state=criteria.state,
            idempotency_key=criteria.idempotency_key,
            since=criteria.since,
            until=criteria.until,
            before=criteria.before,
            ids=ids,
        )
        return deliveries, is_whole

    return container().storage.transact(read)


def _details(delivery_id: int) -> dict[str, Any]:
    parts = container()
    delivery = visible(
        waiting.find(parts.storage, parts.schedule, parts.settings, str(delivery_id), account_id=account().id)
    )
    try:
        webhook = find_webhook(delivery.webhook_id)
    except WebhookNotFound:  # deleted
        webhook = None
    body = shown = _body(delivery, webhook)
    if masked := not person().sees_personal and has_personal(delivery.event_name, delivery.event_version):
        delivery = without_personal(delivery)
        shown = _body(delivery, webhook)
    sent = (
        []
        if webhook is None
        else sent_headers(delivery, webhook, parts.settings.user_agent, hides_headers=not person().may_write)
    )
    return {
        "delivery": delivery,
        "webhook": webhook,
        "payload": json.loads(shown),
        "masked": masked,
        "sent_headers": sent,
        "is_changed": webhook is not None
        and bool(delivery.attempts)
        and webhook.updated_at > delivery.attempts[0].started_at,
        "is_claimed": webhook is not None and webhook.payload_limit is not None and len(body) > webhook.payload_limit,
        "curl": _curl(delivery, sent, shown),
        "response_limit": _RESPONSE_LIMIT,
        "may_redeliver": delivery.waiting is None and webhook is not None and delivery.erasure is None,
        "may_retry": delivery.waiting is not None and delivery.waiting.reason not in _NOT_NOW,
    }


def _body(delivery: DeliveryRow, webhook: Webhook | None) -> bytes:
    """What is POSTed, byte for byte."""
    is_legacy = webhook is not None and webhook.payload_version is PayloadVersion.LEGACY
    # A legacy webhook has no other events; but where an event is gone, nobody knows what was sent.
    if is_legacy and delivery.event_name in LEGACY_EVENTS:
        return legacy_json(event_name=delivery.event_name, body_json=delivery.body_json)
    return (
        active()
        .envelope(delivery.event_name)
        .write(
            event_id=delivery.event_id,
            webhook_id=delivery.webhook_id,
            event_name=delivery.event_name,
            created_at=delivery.event_created_at,
            body_json=delivery.body_json,
            time_zone=delivery.time_zone,
        )
    )


def _curl(delivery: DeliveryRow, sent: Sequence[tuple[str, str]], body: bytes) -> str:
    """A command that sends the same; without what is secret: tokens, the signature, the URL's query."""
    lines = [f"curl -X POST {shlex.quote(without_query(delivery.webhook_url))}"]
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in sent if value != HIDDEN]
    if ("Authorization", HIDDEN) in sent:
        lines.append('-H "Authorization: $AUTH_HEADER"')
    return " \\\n  ".join([*lines, f"-d {shlex.quote(body.decode())}"])


def _delivered(ids: Sequence[int]) -> int:
    """How many of these, of this page's account, were delivered."""
    page_ = container().storage.transact(
        delivery_pages.page, account().slug, limit=len(ids) or 1, state="delivered", ids=ids
    )
    return len(page_.deliveries)


def _redeliver(delivery_id: int) -> None:
    parts = container()
    limit = parts.settings.redelivery_limit
    replay(parts.storage, parts.schedule, str(delivery_id), limit=limit, account_id=account().id)
