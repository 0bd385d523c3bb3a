"""What narrows a list of deliveries or events, as a form sends it: empty fields count as absent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from flask import request

from dispatcher.api.query import PAGE_SIZE, moment, one_of, row_id, uuid, webhook_id
from dispatcher.console.formatting import zone
from dispatcher.model.delivery import State
from dispatcher.schemas import active

T = TypeVar("T")

STATES = tuple(str(state) for state in State)


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """The fields of the form, checked; None leaves one out. `problems`: field → what is wrong with it."""

    webhook_id: int | None
    event_name: str | None
    state: str | None
    since: datetime | None
    until: datetime | None
    resource_id: str | None
    idempotency_key: UUID | None
    before: int | None
    problems: Mapping[str, str]

    @property
    def query(self) -> dict[str, Any]:
        """For links to the same list, without the place in it."""
        return query()

    @property
    def is_empty(self) -> bool:
        """Whether everything is shown."""
        return not self.query


def query() -> dict[str, str]:
    """This request's, without the place in its list."""
    return {name: value for name, value in request.args.items() if value and name != "before"}


def read_filter() -> Filter:
    """The filter of this request."""
    problems: dict[str, str] = {}
    return Filter(
        webhook_id=field("webhook_id", webhook_id, problems),
        event_name=field("event_name", one_of(active().names), problems),
        state=field("state", one_of(STATES), problems),
        since=field("since", local_moment, problems),
        until=field("until", local_moment, problems),
        resource_id=field("resource_id", lambda text: text[:100], problems),
        idempotency_key=field("idempotency_key", uuid, problems),
        before=field("before", row_id, problems),
        problems=problems,
    )


def field(name: str, parse: Callable[[str], T], problems: dict[str, str]) -> T | None:
    """A field of a form or a query, None where it is empty; what does not parse goes into `problems`."""
    text = request.values.get(name, "").strip().replace("\0", "")
    try:
        return parse(text) if text else None
    except ValueError as error:
        problems[name] = str(error)
        return None


def local_moment(text: str) -> datetime:
    """A time as `<input type=datetime-local>` sends it, in the account's time zone."""
    return moment(text, zone())


def split_page(records: list[T]) -> tuple[list[T], bool]:
    """The page of what was read with a limit of PAGE_SIZE + 1, and whether there is another one."""
    return records[:PAGE_SIZE], len(records) > PAGE_SIZE
