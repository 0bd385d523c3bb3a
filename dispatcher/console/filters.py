"""What narrows a list of deliveries or events, as a form sends it: empty fields count as absent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import request

from dispatcher.console.formatting import zone
from dispatcher.model.delivery import State
from schemas import EVENT_TYPES
from schemas.wire.catalogue import OPERATIONAL_EVENTS

NAMES = (*EVENT_TYPES, *sorted(OPERATIONAL_EVENTS))
STATES = tuple(str(state) for state in State)
_LAST_ID = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """What was asked for, checked; None leaves one out. `problems`: field → what is wrong with it."""

    webhook_id: int | None = None
    event_name: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    resource_id: str | None = None
    idempotency_key: UUID | None = None
    before: int | None = None
    problems: Mapping[str, str]

    @property
    def asked(self) -> dict[str, Any]:
        """As the query of a link, without the place in the list."""
        return {name: value for name, value in request.args.items() if value and name != "before"}

    @property
    def is_empty(self) -> bool:
        """Whether everything is shown."""
        return not self.asked


def read() -> Filter:
    """The filter of this request."""
    problems: dict[str, str] = {}
    return Filter(
        webhook_id=_number("webhook_id", 2**31 - 1, problems),
        event_name=_word("event_name", NAMES, problems),
        state=_word("state", STATES, problems),
        since=moment("since", problems),
        until=moment("until", problems),
        resource_id=_text("resource_id")[:100] or None,
        idempotency_key=_key(problems),
        before=_number("before", _LAST_ID, problems),
        problems=problems,
    )


def moment(name: str, problems: dict[str, str]) -> datetime | None:
    """A time as `<input type=datetime-local>` sends it, in the account's time zone."""
    text = _text(name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone())).astimezone(UTC)
    except (ValueError, OverflowError):
        problems[name] = "is not a date and time"
        return None


def rate(text: str) -> int | str | None:
    """Requests a second, as a form sends them; what is no number goes on as it is, to be refused with its reason."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) < 10 else text or None


def _text(name: str) -> str:
    return request.values.get(name, "").strip().replace("\0", "")


def _number(name: str, most: int, problems: dict[str, str]) -> int | None:
    text = _text(name)
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 30):
        problems[name] = "is not a number"
        return None
    return min(int(text), most) if text else None


def _word(name: str, words: tuple[str, ...], problems: dict[str, str]) -> str | None:
    text = _text(name)
    if text and text not in words:
        problems[name] = "is not included in the list"
        return None
    return text or None


def _key(problems: dict[str, str]) -> UUID | None:
    text = _text("idempotency_key")
    try:
        return UUID(text) if text else None
    except ValueError:
        problems["idempotency_key"] = "is not a UUID"
        return None
