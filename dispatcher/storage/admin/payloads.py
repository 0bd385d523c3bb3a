"""Payloads go, the records of their deliveries stay: whatever else holds what an event's body said.

The body itself; the responses of receivers, which may repeat it; what an event is about, where deliveries name it; and
responses of the API that are kept for who repeats a request. What is pending of such an event is cancelled: there is
nothing left to send. `tests/integration/storage/test_erasures.py` names every column that may hold text.
"""

from collections import Counter
from collections.abc import Sequence

from dispatcher.ids import recorded_after
from dispatcher.model.delivery import State
from dispatcher.storage.engine import Connection, array, rows, scalars
from dispatcher.storage.pipeline import order
from dispatcher.storage.pipeline.transitions import end, legal
from dispatcher.storage.stats import partitions

SUBJECT, RETENTION = "subject", "retention"
"""Why a payload was erased: its person's are, or it was kept for as long as its event type says."""

# A fan-out that has them in its hands is waited for; then its deliveries are there.
# Index: the primary key of events_waiting.
_NOT_FANNED_OUT = "delete from dispatcher.events_waiting where event_id = any (%(ids)s::bigint[]) returning event_id"

# Index: the primary key of events.
_ERASE = """
update dispatcher.events set body = '{}', erasure = %(why)s where id = any (%(ids)s::bigint[]) and erasure is null
returning id
"""

# Index: the two of pending deliveries by event.
_CANCEL = f"""
update dispatcher.deliveries set {end(State.CANCELLED)}
where finished_on is null and {legal("state", State.CANCELLED)} and id = any (array (
    select id from dispatcher.deliveries_waiting where event_id = any (%(ids)s::bigint[]) and copy_of is null
    union all
    select id from dispatcher.deliveries_waiting where event_id = any (%(ids)s::bigint[]) and copy_of is not null))
returning webhook_id, resource
"""

# Index: deliveries_by_finish of each day from the first event's on.
_DELIVERIES = """
select id from dispatcher.deliveries where event_id = any (%(ids)s::bigint[]) and finished_on >= %(day)s
"""

# Index: deliveries_by_id of each day.
_FORGET_RESOURCES = """
update dispatcher.deliveries set resource = null
where id = any (%(ids)s::bigint[]) and finished_on >= %(day)s and resource is not null
"""

# Index: attempts_by_delivery of each day.
_FORGET_RESPONSES = """
update dispatcher.attempts set body = null, response_headers = null
where delivery_id = any (%(ids)s::bigint[]) and recorded_on >= %(day)s
    and (body is not null or response_headers is not null)
returning id
"""

# Index: idempotent_requests_by_event.
_FORGET_KEPT = "delete from dispatcher.idempotent_requests where event_id = any (%(ids)s::bigint[])"


def erase(connection: Connection, event_ids: Sequence[int], why: str) -> Counter[str]:
    """Erases the payloads of these events, in a transaction; how many `events`, `attempts` and `cancelled` that were.

    No replay makes a delivery of them pending meanwhile: it waits, as for a day that is dropped.
    """
    if not event_ids:
        return Counter()
    rows(connection, "select pg_advisory_xact_lock(%(lock)s)", lock=partitions.LOCK)
    ids, day = array(event_ids), recorded_after(min(event_ids)).date()
    unsent = rows(connection, _NOT_FANNED_OUT, ids=ids)
    erased = rows(connection, _ERASE, ids=ids, why=why)
    cancelled = rows(connection, _CANCEL, ids=ids)
    order.settle(connection, [(webhook_id, resource) for webhook_id, resource in cancelled if resource is not None])
    deliveries = array(scalars(connection, _DELIVERIES, ids=ids, day=day))
    rows(connection, _FORGET_RESOURCES, ids=deliveries, day=day)
    attempts = rows(connection, _FORGET_RESPONSES, ids=deliveries, day=day)
    rows(connection, _FORGET_KEPT, ids=ids)
    return Counter(events=len(erased), attempts=len(attempts), cancelled=len(cancelled) + len(unsent))
