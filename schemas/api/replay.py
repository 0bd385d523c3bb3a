"""A replay: which deliveries are sent again, and how far that has come. Not API v3's."""

from collections.abc import Sequence

from marshmallow import ValidationError
from marshmallow.validate import Range

from dispatcher.schemas.api.urls import BLANK
from dispatcher.schemas.api.webhook import EMPTY, Names, check_events, flag, rate_per_second
from dispatcher.schemas.wire.choices import not_among
from dispatcher.schemas.wire.fields import DateTime, Integer, String, WireSchema

STATES = ("failed", "delivered", "cancelled")
"""Of deliveries that can be replayed."""


def _check_states(states: Sequence[str]) -> None:
    if not states:
        raise ValidationError(EMPTY)
    for state in states:
        if state not in STATES:
            raise ValidationError(not_among(state, STATES))


class ReplaySchema(WireSchema):
    """A replay. What is null leaves its condition out; `states` are `["failed"]` unless given, `until` is now.

    Deliveries are taken that were created from `since` on and before `until`, and were in their state when the replay
    was made: `matched` of them, of which `sent` were handed out since. `rate` is in deliveries per second. With
    `new_key` new deliveries are made of the same events, with a new Idempotency-Key. With `missed` deliveries are made
    of the events, recorded from `since` on, that the webhook subscribes to and has none for.
    """

    id = Integer(dump_only=True)
    webhook_id = Integer(
        allow_none=True, load_default=None, validate=Range(0, 2**31 - 1, error="does not exist")
    )  # beyond its column's range there is none, and Postgres could not be asked
    event_names = Names(allow_none=True, load_default=None, validate=check_events)
    states = Names(allow_none=True, load_default=None, validate=_check_states)
    since = DateTime(required=True, error_messages={"required": BLANK, "null": BLANK})
    until = DateTime(allow_none=True, load_default=None)
    rate = rate_per_second(load_default=None)
    new_key = flag(load_default=False)
    missed = flag(load_default=False)
    dry_run = flag(load_default=False, load_only=True)
    state = String(dump_only=True, choices=("running", "done", "stopped"))
    matched = Integer(dump_only=True)
    sent = Integer(dump_only=True)
    created_at = DateTime(dump_only=True)
    updated_at = DateTime(dump_only=True)
    finished_at = DateTime(dump_only=True, allow_none=True)


class DryRunSchema(WireSchema):
    """What a replay would have sent."""

    matched = Integer(required=True)
