"""Order, for webhooks that asked for it: of a resource the earliest delivery is out, and all others are held back.

*What is earlier* is decided by events' ids: an event that was emitted after the commit of another has the higher id. A
fan-out never makes deliveries of an event while an earlier one of its resource is in another fan-out's hands.

*One rule, `settle`*: whoever brings deliveries of a resource in (a fan-out, a replay), or has brought one to an end (a
drain), asks for it. It is one text, so one round trip, of several statements: each sees what was committed before it
began, and a lock of the webhook lets one at a time decide. A claim and a record take no such lock: they never bring out
what was held back, and the conditions of the changes here are asked again of a row that one of them has just changed.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from dispatcher.model.delivery import State
from dispatcher.model.webhook import POLL_URL, Ordering
from dispatcher.schemas import active
from dispatcher.storage.engine import Connection, array, rows
from dispatcher.storage.pipeline.transitions import end, legal

HELD_BACK = "timestamptz '9999-12-31 00:00+00'"
"""When a delivery is due that is held back behind an earlier one of its resource: not before that is finished."""
KEPT = "timestamptz '9999-12-31 00:00:01+00'"
"""When one is due that is kept until it is fetched (`polls`): no drain finds it."""
SETTLED_AT_ONCE = 1_000
"""Resources whose rule one statement asks for."""
_LOCKS = 20200102  # of the two-number kind, with a webhook's id

Pair = tuple[int, str]
"""A webhook and a resource."""

# What is out: index deliveries_out; the earliest: deliveries_by_resource. In subqueries of their own (`offset 0`), so
# that no plan reads all that waits.
_OUT = f"""select id, lease_token is not null as leased, outdated from dispatcher.deliveries_waiting
        where webhook_id = r.webhook_id and resource = r.resource and next_attempt_at < {HELD_BACK} offset 0"""
_EARLIEST = f"""select id, next_attempt_at = {HELD_BACK} as held_back from dispatcher.deliveries_waiting
        where webhook_id = r.webhook_id and resource = r.resource order by event_id, id limit 1"""
ASKED_FOR = "({webhook}.ordering = 'resource' or {webhook}.superseding)"
"""SQL, with the name of a row of webhooks: whether its deliveries carry their resource."""
_PAIRS = """(select distinct webhook_id, resource
        from unnest(%(webhook_ids)s::int[], %(resources)s::text[]) as asked (webhook_id, resource)) as r"""
NEW = """unnest(%(webhook_ids)s::int[], %(resources)s::text[], %(event_ids)s::bigint[])
        as r (webhook_id, resource, event_id)"""
"""SQL: deliveries that a fan-out has just created; with the parameters of `NewDeliveries`."""

# One at a time for each webhook, in the order of their ids, so that two cannot deadlock.
_LOCK = f"""
select pg_advisory_xact_lock({_LOCKS}, id) from (
    select distinct webhook_id as id from {_PAIRS} order by 1) asked;
"""

# 1. What was in flight while a newer update came, and is not any more, gives way.
# 2. All but the earliest are held back; what is in flight stays there.
# 3. The earliest is out if nothing else is.
# 4. Where order is not wanted any more, all are out.
# What is asked again of a row is written so ("is true") that no plan finds the row by it.
_KEEP = f"""
update dispatcher.deliveries set {end(State.SUPERSEDED)}
where id = any (array (
        select o.id from {_PAIRS} cross join lateral ({_OUT}) o where o.outdated and not o.leased))
    and finished_on is null and lease_token is null and {legal("state", State.SUPERSEDED)};

update dispatcher.deliveries_waiting set next_attempt_at = {HELD_BACK}
where id = any (array (
        select o.id from {_PAIRS} join dispatcher.webhooks w on w.id = r.webhook_id and w.ordering = 'resource'
        cross join lateral ({_EARLIEST}) e cross join lateral ({_OUT}) o where o.id <> e.id and not o.leased))
    and lease_token is null and (next_attempt_at < {HELD_BACK}) is true;

update dispatcher.deliveries_waiting
set next_attempt_at = case when next_attempt_at < {HELD_BACK} then {HELD_BACK} else dispatcher.now() end
where id = any (array (
        select e.id from {_PAIRS} join dispatcher.webhooks w on w.id = r.webhook_id and w.ordering = 'resource'
        cross join lateral ({_EARLIEST}) e
        where e.held_back <> exists (select from ({_OUT}) o where o.id <> e.id)))
    and lease_token is null;

update dispatcher.deliveries_waiting set next_attempt_at = dispatcher.now()
where id = any (array (
        select h.id from {_PAIRS} join dispatcher.webhooks w on w.id = r.webhook_id and w.ordering = 'none'
        cross join lateral (
            select id, next_attempt_at from dispatcher.deliveries_waiting
            where webhook_id = r.webhook_id and resource = r.resource offset 0) h
        where h.next_attempt_at = {HELD_BACK}))
    and (next_attempt_at < {HELD_BACK}) is false;
"""

# Of each resource that these are about, by webhooks with superseding: all of a superseding event but the newest give
# way.
# One that is in flight is only marked: it stays there, and is not sent again. Index: deliveries_by_resource.
_SUPERSEDE = f"""
with touched as materialized (
    select distinct r.webhook_id, r.resource, e.name from {NEW}
    join dispatcher.webhooks w on w.id = r.webhook_id and w.superseding
    cross join lateral (select name from dispatcher.events where id = r.event_id limit 1) e
    where e.name = any (%(superseding)s::text[])),
known as (
    select d.id, d.event_id < max(d.event_id) over (partition by t.webhook_id, t.resource, t.name) as is_older
    from touched t
    cross join lateral (
        select id, event_id from dispatcher.deliveries_waiting
        where webhook_id = t.webhook_id and resource = t.resource offset 0) d
    cross join lateral (select name from dispatcher.events where id = d.event_id limit 1) e
    where e.name = t.name)
update dispatcher.deliveries
set outdated = true, state = case when lease_token is null then 'superseded' else state end,
    finished_on = case when lease_token is null then dispatcher.now()::date end, updated_at = dispatcher.now()
where id = any (array (select id from known where is_older)) and finished_on is null
    and {legal("state", State.SUPERSEDED)};
"""

# Where the rule is not kept: all are held back, behind one that a dead worker had finished or that was cancelled; or
# order was switched while they waited. Index: deliveries_by_resource, whole, which holds only deliveries of webhooks
# that asked for it.
_UNSETTLED = f"""
select d.webhook_id, d.resource from (
    select webhook_id, resource, count(*) filter (where next_attempt_at < {HELD_BACK}) as out_count, count(*) as count
    from dispatcher.deliveries_waiting
    where resource is not null and (%(webhook_id)s::int is null or webhook_id = %(webhook_id)s)
    group by webhook_id, resource) d
join dispatcher.webhooks w on w.id = d.webhook_id and w.deleted_at is null
where d.out_count <> case w.ordering when 'resource' then 1 else d.count end
"""


def _named(event_id: str) -> str:
    return f"""(select k.key || ':' || (e.body -> k.key ->> k.id) from dispatcher.events e
        join unnest(%(names)s::text[], %(keys)s::text[], %(id_names)s::text[]) as k (name, key, id) on k.name = e.name
        where e.id = {event_id})"""


# Deliveries that wait, created before their webhook asked for order. Index: deliveries_due.
_NAME = f"""
with named as materialized (
    select id, resource, row_number() over (partition by resource order by event_id, id) = 1 as is_earliest from (
        select id, event_id, {_named("d.event_id")} as resource from dispatcher.deliveries_waiting d
        where webhook_id = %(webhook_id)s and resource is null and (lease_token is null or %(leased)s)) d
    where resource is not null)
update dispatcher.deliveries_waiting d set resource = n.resource, next_attempt_at = case
    when n.is_earliest or d.lease_token is not null or not %(in_order)s then d.next_attempt_at else {HELD_BACK} end
from named n where d.id = n.id and (d.lease_token is null or %(leased)s)
"""


def resource_of(event_id: str, webhook_id: str) -> str:
    """SQL: what the event is about, as its body says; null unless the webhook asked for order or superseding.

    For deliveries that come once more, or late; of a new event the outbox knows it. Needs the parameters of `keyed`.
    """
    return f"""(select {_named(event_id)} from dispatcher.webhooks asked
        where asked.id = {webhook_id} and {ASKED_FOR.format(webhook="asked")})"""


def keyed() -> dict[str, str]:
    """The parameters of `resource_of`: where the resource's id stands in the body of each event of the catalogues."""
    places = active().resource_ids
    keys, ids = zip(*places.values(), strict=True) if places else ((), ())
    return {"names": array(places), "keys": array(keys), "id_names": array(ids)}


def is_polled(webhook: str) -> str:
    """SQL, with the name of a row of webhooks: whether its deliveries are kept until they are fetched."""
    return f"{webhook}.webhook_url = '{POLL_URL}'"


def due(webhook_id: str) -> str:
    """SQL: when a delivery of the webhook is due that somebody wants sent now."""
    polled = f"(select {is_polled('asked')} from dispatcher.webhooks asked where asked.id = {webhook_id})"
    return f"case when {polled} then {KEPT} else dispatcher.now() end"


def insert(source: str, *, leased: bool = False) -> str:
    """SQL: makes a delivery of each row of `source`, in its order.

    `source` has id, event_id, webhook_id, resource, copy_of and next_attempt_at. It draws the ids, by
    `nextval('delivery_id')`; `copy_of` is null, or the delivery sent under a new key. `leased`: it has lease_token, or
    null, too, and next_attempt_at is when the lease ends.
    """
    lease = ", lease_token" if leased else ""
    return f"""insert into dispatcher.deliveries (
        id, event_id, webhook_id, idempotency_key, resource, copy_of, next_attempt_at{lease})
    select id, event_id, webhook_id, dispatcher.new_idempotency_key(id), resource, copy_of, next_attempt_at{lease}
    from ({source}) source"""


class NewDeliveries(NamedTuple):
    """Deliveries with a resource that a fan-out has created, attribute by attribute."""

    webhook_ids: Sequence[int]
    resources: Sequence[str]
    event_ids: Sequence[int]

    @property
    def parameters(self) -> dict[str, str]:
        """Of `NEW`."""
        return {name: array(values) for name, values in self._asdict().items()}


def settle(connection: Connection, pairs: Collection[Pair]) -> None:
    """Keeps the rule for these webhooks and resources: in a transaction to its end, else at once."""
    in_turn = sorted(set(pairs))
    for start in range(0, len(in_turn), SETTLED_AT_ONCE):
        webhook_ids, resources = zip(*in_turn[start : start + SETTLED_AT_ONCE], strict=True)
        rows(connection, _LOCK + _KEEP, webhook_ids=array(webhook_ids), resources=array(resources))


def settle_new(connection: Connection, new_deliveries: NewDeliveries, *, supersedes: bool) -> None:
    """The same for what a fan-out has just created. `supersedes`: by webhooks of which some want superseding."""
    parameters = new_deliveries.parameters | {"superseding": array(active().superseding)}
    rows(connection, _LOCK + (_SUPERSEDE if supersedes else "") + _KEEP, **parameters)


def settle_all(connection: Connection, webhook_id: int | None = None) -> None:
    """The same wherever it is not kept, of all webhooks or of one."""
    settle(connection, [(id_, resource) for id_, resource in rows(connection, _UNSETTLED, webhook_id=webhook_id)])


@contextmanager
def switching(connection: Connection, webhook_id: int, ordering: str) -> Iterator[None]:
    """Around the statement that switches `ordering` or superseding on, in its transaction: what waits already is in it.

    Most of that is done before the webhook is locked, for which fan-outs to it wait.
    """
    parameters = {"webhook_id": webhook_id, "in_order": ordering == Ordering.RESOURCE, **keyed()}
    rows(connection, _NAME, **parameters, leased=False)
    rows(connection, "select from dispatcher.webhooks where id = %(webhook_id)s for update", **parameters)
    yield
    rows(connection, _NAME, **parameters, leased=True)
    settle_all(connection, webhook_id)
