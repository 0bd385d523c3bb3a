"""A replay as it is shown."""

from typing import Any

from dispatcher.model.replay import Replay
from schemas.api.replay import ReplaySchema
from schemas.wire.fields import written_in

_schema = ReplaySchema()


def shown_replay(replay: Replay) -> dict[str, Any]:
    """Everything; datetimes in the account's time zone."""
    wanted = replay.wanted
    attributes = {
        "id": replay.id,
        "webhook_id": wanted.webhook_id,
        "event_names": wanted.event_names,
        "states": wanted.states,
        "since": wanted.since,
        "until": wanted.until,
        "rate": wanted.rate,
        "new_key": wanted.new_key,
        "missed": wanted.missed,
        "state": replay.state,
        "matched": replay.matched,
        "sent": replay.sent,
        "created_at": replay.created_at,
        "updated_at": replay.updated_at,
        "finished_at": replay.finished_at,
    }
    with written_in(replay.time_zone):
        return dict(_schema.dump(attributes))
