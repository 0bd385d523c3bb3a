"""Deliveries of a polled webhook: fetched in order, acknowledged, and the token with which its reader does so."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flask import Response, request
from flask_smorest import Blueprint

from dispatcher.api.http import ROW_ID, container, json_object, json_response, request_body
from dispatcher.api.query import parameter, whole_number
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import service
from dispatcher.api.v1.idempotency import PARAMETER, idempotent
from dispatcher.errors import ApiError
from dispatcher.schemas.api.poll import AcknowledgedSchema, AcknowledgementSchema, PollSchema, PollTokenSchema
from dispatcher.schemas.api.signing import RotationSchema
from dispatcher.schemas.wire.fields import written_in
from dispatcher.storage.admin import poll_tokens
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.engine import Storage
from dispatcher.webhooks import polling

blueprint = Blueprint("v1_polls", __name__, description="Deliveries that a customer fetches instead of receiving them.")

MOST, WAIT_MOST_S = 100, 30
"""Deliveries of one page, and seconds that a request may wait for the first."""
EMPTY = "dispatcher.empty_poll"
"""Under this name the WSGI environment has the EmptyPoll of a request that would rather wait (`web.long_polls`)."""

_CURSOR = re.compile(r"([0-9]{1,10})-([0-9]{1,19})\Z", re.ASCII)
_poll, _acknowledgement, _acknowledged, _token_ = (
    PollSchema(),
    AcknowledgementSchema(),
    AcknowledgedSchema(),
    PollTokenSchema(),
)
_ONE = f"/accounts/<external_id>/poll/<{ROW_ID}:webhook_id>"
_PARAMETERS: list[Mapping[str, Any]] = [
    {
        "in": "query",
        "name": "cursor",
        "schema": {"type": "string"},
        "description": "`cursor` of the page before. Without it: from the first that was not acknowledged.",
    },
    {
        "in": "query",
        "name": "limit",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": MOST},
        "description": "Deliveries at most; their bodies have 4 MiB together, unless there is only one.",
    },
    {
        "in": "query",
        "name": "wait",
        "schema": {"type": "integer", "minimum": 0, "maximum": WAIT_MOST_S, "default": 0},
        "description": "Seconds to wait for the first delivery where there is none.",
    },
]


class EmptyPoll(NamedTuple):
    """Who waits for what comes beyond a place, and for how long."""

    webhook_id: int
    after: int
    wait_s: int


@blueprint.route(_ONE)
@service("deliveries", "personal", or_reader=True)  # bodies are whole, as a receiver gets them
@blueprint.doc(
    parameters=_PARAMETERS,
    responses={str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in (409, 422)},
)
@blueprint.response(200, PollSchema)
def fetch(external_id: str, webhook_id: int) -> Response:
    """The next deliveries, in order. They stay pending until they are acknowledged.

    An event that was emitted after another was committed comes after it. 409 while the webhook is inactive, and
    422 where it is not polled.
    """
    parts = container()
    _require_active(parts.storage, external_id, webhook_id)
    cursor = parameter("cursor", _of(webhook_id))
    limit, wait_s = parameter("limit", _within(1, MOST)) or MOST, parameter("wait", _within(0, WAIT_MOST_S)) or 0
    fetched, last, has_more = polling.fetch(
        parts.storage, parts.drain_policy, webhook_id, after=cursor or 0, limit=limit
    )
    if wait_s and not fetched and not has_more:
        request.environ[EMPTY] = EmptyPoll(webhook_id, last, wait_s)
    data = [
        {"id": one.id, "cursor": _written(webhook_id, one.position), "event_name": one.event_name,
         "headers": one.headers, "body": one.body}
        for one in fetched
    ]  # fmt: skip
    page = {"data": data, "cursor": _written(webhook_id, last) if last else None, "has_more": has_more}
    return json_response(page, headers={"Cache-Control": "no-store"})


@blueprint.route(f"{_ONE}/ack", methods=["POST"])
@service("deliveries", or_reader=True)
@blueprint.doc(requestBody=request_body(AcknowledgementSchema))
@blueprint.response(200, AcknowledgedSchema)
def acknowledge(external_id: str, webhook_id: int) -> Response:
    """All up to `cursor` are delivered, and not fetched any more. It may be repeated."""
    parts = container()
    polling.require_polled(parts.storage.read(poll_tokens.webhook, external_id, webhook_id)[0])
    try:
        up_to = _of(webhook_id)(_acknowledgement.load(json_object())["cursor"])
    except ValueError as error:
        raise ApiError(422, "invalid_cursor", f"cursor {error}") from None
    count = polling.acknowledge(parts.storage, parts.counters, webhook_id, up_to)
    return json_response(_acknowledged.dump({"acknowledged": count}))


@blueprint.route(f"{_ONE}/token/rotate", methods=["POST"])
@service("webhooks")
@blueprint.doc(parameters=[PARAMETER], requestBody=request_body(RotationSchema, required=False))
@blueprint.response(200, PollTokenSchema)
@idempotent
def rotate_token(_token: ServiceToken, storage: Storage, external_id: str, webhook_id: int) -> Response:
    """A new poll token, also the first. The one before goes on for a day, or for `previous_valid_for_s` seconds."""
    options = json_object() if request.get_data() else None
    token = polling.rotate_token(storage, tenant_of(external_id, storage).id, webhook_id, options)
    with written_in("UTC"):
        return json_response(_token_.dump(token))


def _require_active(storage: Storage, external_id: str, webhook_id: int) -> None:
    url, active = storage.read(poll_tokens.webhook, external_id, webhook_id)
    polling.require_polled(url)
    if not active:
        raise ApiError(409, "inactive", "The webhook is inactive; what it keeps can be fetched when it is active again")


def _written(webhook_id: int, position: int) -> str:
    """A cursor names its webhook, so that it acknowledges nothing of another by mistake."""
    return f"{webhook_id}-{position}"


def _of(webhook_id: int) -> Callable[[str], int]:
    def position(text: str) -> int:
        match = _CURSOR.match(text)
        if match is None or int(match[1]) != webhook_id:
            raise ValueError("must be a `cursor` of this webhook")
        return min(int(match[2]), 2**63 - 1)

    return position


def _within(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not least <= (value := whole_number(text)) <= most:
            raise ValueError(f"must be between {least} and {most}")
        return value

    return number
