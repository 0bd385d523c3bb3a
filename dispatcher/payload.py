"""Event and webhook → the exact bytes and headers to send, signature included. Pure: the time is given."""

from dispatcher.claim_check import ClaimChecks
from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.destination import Destination
from dispatcher.model.options import NO_OPTIONS, Options
from dispatcher.model.webhook import PayloadVersion, Signing, Target
from dispatcher.schemas import active
from dispatcher.schemas.catalogue import FIRST
from dispatcher.schemas.envelopes import VERSION_HEADER
from dispatcher.schemas.selection import select_fields, select_id
from dispatcher.schemas.wire.payload import legacy_json
from dispatcher.signatures import signature_headers


def payload(delivery: ClaimedDelivery, target: Target, checks: ClaimChecks, sent_at: int) -> bytes:
    """The body of the POST, or, where that is larger than the webhook wants it, a claim check of it in its envelope.

    `sent_at`: seconds since 1970. Raises PublicUrlMissing, and what `render` raises.
    """
    body, limit = render(delivery, target), target.options.payload_limit
    if limit is None or len(body) <= limit or target.payload_version is PayloadVersion.LEGACY:
        return body
    about = select_id(delivery.event_name, delivery.body_json)
    return _in_envelope(delivery, target, checks.body(delivery.id, about=about, size=len(body), sent_at=sent_at))


def render(delivery: ClaimedDelivery, target: Target) -> bytes:
    """The whole body: in its event's envelope, or the flat object of a legacy webhook; the same on every attempt.

    Raises DowngradeFailed where the webhook is pinned to an older version, which it cannot be made.
    """
    body_json = sent_body(
        delivery.event_name, delivery.event_version, delivery.body_json, target.options, delivery.time_zone
    )
    if target.payload_version is PayloadVersion.LEGACY:
        return legacy_json(event_name=delivery.event_name, body_json=body_json)
    return _in_envelope(delivery, target, body_json)


def _in_envelope(delivery: ClaimedDelivery, target: Target, body_json: str) -> bytes:
    return (
        active()
        .envelope(delivery.event_name)
        .write(
            event_id=delivery.event_id or delivery.idempotency_key,
            webhook_id=target.webhook_id,
            event_name=delivery.event_name,
            created_at=delivery.event_created_at,
            body_json=body_json,
            time_zone=delivery.time_zone,
        )
    )


def sent_body(name: str, version: int, body_json: str, options: Options, time_zone: str) -> str:
    """An event's body of that version as a webhook with these options gets it; raises DowngradeFailed."""
    sent = sent_version(name, version, options)
    if sent != version:
        body_json = active().downgraded(name, body_json, version, sent, time_zone)
    if options is not NO_OPTIONS:
        body_json = select_fields(name, body_json, options.only_fields, options.excluded_fields)
    return body_json


def sent_version(name: str, version: int, options: Options) -> int:
    """That of the event's body, or the older one to which the webhook is pinned."""
    return FIRST if version == FIRST else min(version, options.event_versions.get(name, FIRST))


def headers(
    delivery: ClaimedDelivery, target: Target, body: bytes, sent_at: int, user_agent: str
) -> list[tuple[str, str]]:
    """Headers of the POST (API v3, Webhook delivery; Standard Webhooks); `sent_at` in seconds since 1970."""
    key = str(delivery.idempotency_key)
    fields = [
        ("Content-Type", content_type(delivery.event_name, target.payload_version)),
        ("User-Agent", user_agent),
        ("Idempotency-Key", key),
    ]
    if target.signing is Signing.STANDARD:
        fields += signature_headers(target.signing_keys, target.options, key, str(sent_at), body)
    if (version := sent_version(delivery.event_name, delivery.event_version, target.options)) != FIRST:
        fields.append((VERSION_HEADER, str(version)))
    if target.auth_header:
        fields.append(("Authorization", target.auth_header))
    if target.options is not NO_OPTIONS:
        fields += [*target.options.headers.items(), *target.options.secret_headers.items()]
    return fields


def destination(delivery: ClaimedDelivery, target: Target) -> Destination | None:
    """What its message needs where the webhook's URL is not HTTP's; None where it is."""
    options = target.options
    if options.destination is None:
        return None
    values = {
        "event": delivery.event_name,
        "id": delivery.idempotency_key,
        "resource": delivery.resource or "",
        "webhook": str(target.webhook_id),
        "date": delivery.event_created_at.date().isoformat(),
    }
    return Destination(
        webhook_id=target.webhook_id,
        settings=options.destination,
        credentials=options.credentials or {},
        values=values,
    )


def content_type(event_name: str, version: PayloadVersion) -> str:
    """Of the POST: that of the event's envelope."""
    return "application/json" if version is PayloadVersion.LEGACY else active().envelope(event_name).content_type
