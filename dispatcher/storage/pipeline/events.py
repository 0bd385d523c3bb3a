"""Events are fanned out in batches; `emits` stores them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from dispatcher.connections.adapter import Planned
from dispatcher.model.fan_out import FanOut
from dispatcher.schemas.catalogue import OPERATIONAL_EVENTS
from dispatcher.storage.engine import Connection, array, rows
from dispatcher.storage.pipeline import order


def subscribed(name: str, webhook: str = "w") -> str:
    """SQL: whether the webhook subscribed to the event, by its name or by a wildcard; null is no.

    Wildcards are compared only where the name is not among `events`, and never mean the dispatcher's own events.
    """
    operational = ", ".join(f"'{one}'" for one in sorted(OPERATIONAL_EVENTS))
    return f"""({name} = any ({webhook}.events)
            or {name} like any ({webhook}.event_patterns) and {name} not in ({operational}))"""


# Index: the primary key of events_waiting (small: only what waits), webhooks_by_account.
# Taking an event out of the outbox and making its deliveries is one statement: once, or not at all. A webhook that it
# matched cannot be deleted before the commit, so that the deletion finds its deliveries and cancels them.
# Bodies are read once for all filters, when the first webhook with one is met, and not at all where there are none. As
# arrays, because a further table in this plan would cost each fan-out more than reading `filter_path` does. By
# `case`, or the planner may read bodies before names.
_BODY = """(select dispatcher.event_bodies(array(select event_id from taken)))[
                array_position((select array(select event_id from taken)), t.event_id)]"""
MATCHED = f"""
        select nextval('dispatcher.delivery_id') as id, t.event_id, w.id as webhook_id,
            case when {order.ASKED_FOR.format(webhook="w")} then t.resource end as resource, null::bigint as copy_of,
            case when {order.is_polled("w")} then {order.KEPT} else dispatcher.now() end as next_attempt_at
        from taken t join dispatcher.webhooks w on w.account_id = t.account_id and w.deleted_at is null and w.active
            and case when {subscribed("t.name")} then w.filter_path is null or {_BODY} @@ w.filter_path end
        order by t.event_id for key share of w"""
"""SQL: the deliveries that the events of `taken` come to."""

_FAN_OUT = Planned(f"""
with batch as (
    select event_id from dispatcher.events_waiting
    where account_id <> all (%(without)s::int[]) order by event_id limit %(limit)s for update skip locked),
taken as (
    delete from dispatcher.events_waiting where event_id = any (array (select event_id from batch))
    returning event_id, account_id, name, resource),
created as (
    {order.insert(MATCHED)}
    returning webhook_id, event_id, resource, next_attempt_at)
select (select count(*) from taken), (select count(*) from created),
    array(select distinct webhook_id from created where next_attempt_at < {order.KEPT}),
    array(select event_id from taken),
    (select json_agg(json_build_array(webhook_id, resource, event_id)) from created where resource is not null)
""")

# What still lies in the outbox before an event of this batch, about the same resource, is in another fan-out's hands,
# or was committed a moment ago. (This batch's are gone.) The accounts where that is so, and the last such event. Where
# others have more than is read here, it might be so everywhere. The limit also keeps the planner to the index.
_EARLIER = f"""
with mine as materialized (
    select w.account_id, r.resource, max(r.event_id) as event_id, bool_or(w.superseding) as supersedes
    from {order.NEW} join dispatcher.webhooks w on w.id = r.webhook_id group by 1, 2),
elsewhere as materialized (
    select event_id, account_id, resource from dispatcher.events_waiting
    where event_id < (select max(event_id) from mine) order by event_id limit %(scan)s),
earlier as (
    select account_id, e.event_id from mine m join elsewhere e using (account_id, resource)
    where e.event_id < m.event_id
    union all
    select m.account_id, e.event_id from mine m, (select max(event_id), count(*) from elsewhere) e (event_id, count)
    where e.count = %(scan)s)
select array(select distinct account_id from earlier), (select max(event_id) from earlier),
    (select bool_or(supersedes) from mine)
"""

# Index: the primary key of events_waiting. Ends when whoever has the event has committed, or died.
_WAIT_FOR = "select from dispatcher.events_waiting where event_id = %(event_id)s for update"

# Index: deliveries_are_one_per_event_and_webhook.
_CREATED = """
select id, event_id, webhook_id, idempotency_key::text from dispatcher.deliveries_waiting
where event_id = any (%(event_ids)s::bigint[]) and copy_of is null order by id
"""

# Index: the primary key of events.
_TRACES = """
select id, traceparent from dispatcher.events where id = any (%(event_ids)s::bigint[]) and traceparent is not null
"""


class NewDelivery(NamedTuple):
    """A delivery that a fan-out created."""

    delivery_id: int
    event_id: int
    webhook_id: int
    key: str


class Overtaken(Exception):
    """A fan-out got hold of events before another has committed earlier ones of their resource: roll it back.

    `account_ids`: whose events they are; `event_id`: the last of the earlier ones.
    """

    def __init__(self, account_ids: Sequence[int], event_id: int) -> None:
        super().__init__(account_ids, event_id)
        self.account_ids = tuple(account_ids)
        self.event_id = event_id


def fan_out(connection: Connection, limit: int, *, without: Collection[int] = ()) -> FanOut:
    """Takes up to `limit` events out of the outbox and creates a delivery of each for every subscribed webhook.

    Older updates are superseded and later deliveries held back where the webhook is set to do so. Events of the
    accounts in `without` are left. It needs a transaction. Raises Overtaken where the order of an account's events
    would be lost.
    """
    event_count, delivery_count, webhook_ids, event_ids, with_resource = rows(
        connection, _FAN_OUT, limit=limit, without=array(without)
    )[0]
    if with_resource:
        _put_in_order(connection, order.NewDeliveries(*zip(*with_resource, strict=True)), 10 * limit)
    return FanOut(
        event_count=event_count,
        delivery_count=delivery_count,
        webhook_ids=tuple(webhook_ids),
        event_ids=tuple(event_ids),
    )


def _put_in_order(connection: Connection, new_deliveries: order.NewDeliveries, scan: int) -> None:
    account_ids, event_id, supersedes = rows(connection, _EARLIER, **new_deliveries.parameters, scan=scan)[0]
    if account_ids:
        raise Overtaken(account_ids, event_id)
    order.settle_new(connection, new_deliveries, supersedes=supersedes)


def wait_for_lock(connection: Connection, event_id: int) -> None:
    """Returns once no other fan-out has the event in its hands; raises StorageUnavailable where that takes too long."""
    rows(connection, _WAIT_FOR, event_id=event_id)


def new_deliveries(connection: Connection, event_ids: Sequence[int]) -> list[NewDelivery]:
    """The deliveries that a fan-out created for these events, in the same transaction; for the log at debug level."""
    return [NewDelivery(*row) for row in rows(connection, _CREATED, event_ids=array(event_ids))]


def traces(connection: Connection, event_ids: Sequence[int]) -> dict[int, str]:
    """Event → in which trace it was emitted; absent where in none."""
    return dict(rows(connection, _TRACES, event_ids=array(event_ids)))


def any_waiting(connection: Connection) -> bool:
    """Whether an event is in the outbox."""
    return bool(rows(connection, "select exists (select from dispatcher.events_waiting)")[0][0])
