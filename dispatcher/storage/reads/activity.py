"""The activity log: what was emitted in an account, newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dispatcher.ids import COUNTER_BITS, first_event_id
from dispatcher.schemas.catalogue import OPERATIONAL_EVENTS
from dispatcher.storage.engine import Connection, records

# Index: events_by_account, backwards, in each day's partition.
_LIST = """
select e.name, e.created_at, e.body from dispatcher.events e {of_subject}
where e.account_id = %(account_id)s {conditions}
order by e.id desc limit %(limit)s offset %(offset)s
"""

_NAMED = "and e.name = any (%(names)s) "
_EMITTED = "and e.name <> all (%(operational)s) "  # our own are news of the dispatcher, not of the account

# An event may be said to have happened before it was recorded, but hardly a day after: so older ids are not read.
_SINCE = "and e.created_at >= %(since)s and e.id >= %(first_id)s"
_LEAD = 86_400 << COUNTER_BITS

# Where the subject's id stands differs by event; events without one are left out.
_OF_SUBJECT = """
join unnest(%(subject_names)s::text[], %(subject_keys)s::text[], %(subject_attributes)s::text[])
    as s (name, key, attribute) on s.name = e.name and e.body -> s.key ->> s.attribute = %(subject_id)s
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """An event as it is listed."""

    name: str
    created_at: datetime
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class SubjectFilter:
    """Only events about this subject; `paths`: event name → the key and the attribute under which its id stands."""

    subject_id: int
    paths: Mapping[str, tuple[str, str]]


def list_for_account(connection: Connection, /, account_id: int, *, limit: int = 40, **filters: Any) -> list[Activity]:
    """The account's events, newest first.

    The filters are `names`, what happened `since` a time, and a `subject`; the first `offset` are left out.
    """
    sql, parameters = _statement(account_id, limit=limit, **filters)
    return records(connection, Activity, sql, **parameters)


def _statement(
    account_id: int,
    *,
    limit: int,
    names: Sequence[str] | None = None,
    since: datetime | None = None,
    subject: SubjectFilter | None = None,
    offset: int = 0,
) -> tuple[str, dict[str, object]]:
    conditions = (_NAMED if names else _EMITTED) + (_SINCE if since else "")
    parameters: dict[str, object] = {"account_id": account_id, "limit": limit, "offset": offset}
    parameters["operational"] = list(OPERATIONAL_EVENTS)
    parameters |= {"names": names and list(names), "since": since, "first_id": since and first_event_id(since) - _LEAD}
    if subject:
        keys, attributes = zip(*subject.paths.values(), strict=True)
        parameters |= {
            "subject_id": str(subject.subject_id),
            "subject_names": list(subject.paths),
            "subject_keys": list(keys),
            "subject_attributes": list(attributes),
        }
    return _LIST.format(conditions=conditions, of_subject=_OF_SUBJECT if subject else ""), parameters
