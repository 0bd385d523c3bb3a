"""A replay: which deliveries go out once more, and how far that has come. Not API v3's."""

from collections.abc import Sequence
from typing import Any

from marshmallow import ValidationError, fields, post_load, pre_load
from marshmallow.validate import Range

from schemas.api.webhook import BLANK, EMPTY, INVALID, NOT_A_NUMBER, NOT_BOOLEAN, check_event_names, check_rate_limit
from schemas.wire.choices import not_among
from schemas.wire.fields import Boolean, DateTime, Integer, String, WireSchema

STATES = ("failed", "delivered", "cancelled")
"""Of deliveries that can be replayed."""
_LISTS = ("event_names", "states")


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise ValidationError(EMPTY)
    check_event_names(names)


def _check_states(states: Sequence[str]) -> None:
    if not states:
        raise ValidationError(EMPTY)
    for state in states:
        if state not in STATES:
            raise ValidationError(not_among(state, STATES))


def _words(**options: Any) -> fields.List[Any]:
    word = fields.String(error_messages={"invalid": INVALID, "null": INVALID})
    return fields.List(word, allow_none=True, load_default=None, error_messages={"invalid": INVALID}, **options)


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
    event_names = _words(validate=_check_names)
    states = _words(validate=_check_states)
    since = DateTime(required=True, error_messages={"required": BLANK, "null": BLANK})
    until = DateTime(allow_none=True, load_default=None)
    rate = fields.Integer(
        allow_none=True,
        load_default=None,
        strict=True,
        validate=check_rate_limit,
        error_messages={"invalid": NOT_A_NUMBER},
    )
    new_key = Boolean(load_default=False, error_messages={"null": NOT_BOOLEAN})
    missed = Boolean(load_default=False, error_messages={"null": NOT_BOOLEAN})
    dry_run = Boolean(load_default=False, load_only=True, error_messages={"null": NOT_BOOLEAN})
    state = String(dump_only=True, choices=("running", "done", "stopped"))
    matched = Integer(dump_only=True)
    sent = Integer(dump_only=True)
    created_at = DateTime(dump_only=True)
    updated_at = DateTime(dump_only=True)
    finished_at = DateTime(dump_only=True, allow_none=True)

    @pre_load
    def _an_object_is_no_list(self, data: Any, **_: Any) -> Any:
        """Marshmallow would take its keys."""
        if not isinstance(data, dict):
            return data
        return data | {name: "" for name in _LISTS if isinstance(data.get(name), dict)}

    @post_load
    def _without_repetitions(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        for name in _LISTS:
            if data[name] is not None:
                data[name] = list(dict.fromkeys(data[name]))
        return data


class DryRunSchema(WireSchema):
    """What a replay would have sent."""

    matched = Integer(required=True)
