"""The headers of a delivery's POST, as its webhook has them now, without what is secret. They are not stored."""

from collections.abc import Sequence
from dataclasses import replace

from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.webhook import SigningKeys, Target, Webhook
from dispatcher.payload import headers
from dispatcher.schemas.api.signatures import OWN_HEADERS
from dispatcher.storage.reads.deliveries import DeliveryRow

HIDDEN = "(hidden)"
_NO_KEYS = SigningKeys(secret="", hmac=b"", ed25519=lambda _: b"")


def sent_headers(
    delivery: DeliveryRow, webhook: Webhook, user_agent: str, *, hides_headers: bool
) -> list[tuple[str, str]]:
    """Name and value of each, with the time of the last attempt; HIDDEN for tokens, secret headers and signatures.

    `hides_headers`: also the values of the webhook's `headers`, for viewers who may not change them.
    """
    static = dict.fromkeys(webhook.headers, HIDDEN) if hides_headers else webhook.headers
    target = Target(
        webhook_id=webhook.id,
        url="",
        auth_header=HIDDEN if webhook.auth_header or webhook.oauth2 else None,
        signing_keys=(_NO_KEYS,),
        payload_version=webhook.payload_version,
        signing=webhook.signing,
        options=replace(webhook, headers=static, secret_headers=dict.fromkeys(webhook.secret_headers, HIDDEN)),
    )
    claimed = ClaimedDelivery(
        webhook_id=webhook.id,
        idempotency_key=str(delivery.idempotency_key),
        event_name=delivery.event_name,
        event_version=delivery.event_version,
        event_created_at=delivery.event_created_at,
        body_json="",
        time_zone=delivery.time_zone,
    )
    at = delivery.attempts[0].started_at if delivery.attempts else delivery.created_at
    signatures = {name.lower() for name in _signatures(webhook)}
    return [
        (name, HIDDEN if name.lower() in signatures else value)
        for name, value in headers(claimed, target, b"", int(at.timestamp()), user_agent)
    ]


def _signatures(webhook: Webhook) -> Sequence[str]:
    header = [webhook.signature_header] if webhook.signature_header else []
    return [*header, *OWN_HEADERS.values(), *(f"{prefix}signature" for prefix in webhook.signature_prefixes)]
