"""The fan-out of quiet times: first attempts at webhooks that are well are leased to whoever creates the deliveries.

One statement, which is its own transaction. Events of accounts with order are left for `events.fan_out`.
"""

from collections.abc import Collection
from typing import NamedTuple

from dispatcher.connections.adapter import Planned
from dispatcher.model.fan_out import FanOut
from dispatcher.storage.engine import Connection, array, rows
from dispatcher.storage.pipeline import order
from dispatcher.storage.pipeline.deliveries import BODY, TARGET, Claim, read_claimed, read_targets, to_send
from dispatcher.storage.pipeline.events import MATCHED
from dispatcher.storage.secrets import SecretBox

# A webhook that is well neither fails nor has a rate to keep to. All its deliveries are leased, or none: no more than
# `slots` are leased under the token then, and nothing of it is with a drain, which would not see these requests in its
# window. It is read once, for its first delivery. Index: deliveries_due, at most `slots` rows a webhook.
_LEASED = f"""
        select id, event_id, webhook_id, resource, copy_of,
            case when is_leased then dispatcher.now() + make_interval(secs => %(lease_s)s) else next_attempt_at end
                as next_attempt_at,
            case when is_leased then %(token)s::uuid end as lease_token
        from (
            select *, coalesce(max(nth) over its <= max(slots) over its and max(nth_of_all) over its <= %(room)s, false)
                as is_leased
            from (
                select *, case when nth = 1 and nth_of_all <= %(room)s then (
                    select %(slots)s - (
                        select case when bool_and(lease_token = %(token)s) then count(*)
                            when count(*) = 0 then 0 else %(slots)s end
                        from (
                            select lease_token from dispatcher.deliveries_waiting where webhook_id = w.id
                            order by next_attempt_at limit %(slots)s) waiting)
                    from dispatcher.webhooks w
                    where id = numbered.webhook_id and id <> all (%(busy)s::int[])
                        and failing_since is null and rate_limit is null
                        and not {order.is_polled("w")}) end as slots
                from (
                    select *, row_number() over (partition by webhook_id order by id) as nth,
                        row_number() over (order by id) as nth_of_all
                    from matched) numbered) counted
            window its as (partition by webhook_id)) ranked
        order by id"""

# Indexes: the primary key of events_waiting, webhooks_with_order, webhooks_by_account; to send, as a claim's.
_FAN_OUT = Planned(f"""
with batch as (
    select event_id, exists (
        select from dispatcher.webhooks w
        where w.account_id = e.account_id and w.deleted_at is null
            and {order.ASKED_FOR.format(webhook="w")}) as in_order
    from dispatcher.events_waiting e order by event_id limit %(limit)s for update skip locked),
taken as (
    delete from dispatcher.events_waiting where event_id = any (array (select event_id from batch where not in_order))
    returning event_id, account_id, name, resource),
matched as materialized ({MATCHED}),
created as (
    {order.insert(_LEASED, leased=True)}
    returning id, webhook_id, event_id, idempotency_key, 0 as attempt_count, 0 as lost_count, 0 as tries_before,
        0 as lost_before, resource, copy_of, outdated, lease_token, next_attempt_at),
sums as (
    select (select count(*) from taken), (select count(*) from created),
        array(select distinct webhook_id from created where lease_token is null and next_attempt_at < {order.KEPT}),
        array(select event_id from taken),
        exists (select from batch where in_order))
select s.*, l.*, t.* from sums s
    left join ({to_send("(select * from created where lease_token is not null)", lost="false")}) l on true
    left join lateral (select {TARGET} from dispatcher.webhooks where id = l.webhook_id limit 1) t on true
""")
_SUMS, _TO_SEND = 5, 17
"""Columns: of a fan-out, and of a delivery; then come those of its target."""


class Leasing(NamedTuple):
    """What a fan-out leases to its caller: `room` deliveries at most, under `token`, for `lease_s` seconds.

    Of each webhook no more than `slots` are leased under it then; of those in `busy` none is.
    """

    token: str
    lease_s: float
    slots: int
    room: int
    busy: Collection[int] = ()


def fan_out(
    connection: Connection, secrets: SecretBox, limit: int, leasing: Leasing, *, now_s: float
) -> tuple[FanOut, Claim]:
    """As `events.fan_out`, but for accounts with order (`FanOut.in_order`); and what of it is leased to the caller.

    `now_s`: the monotonic clock, now; leases end `lease_s` later at the earliest.
    """
    parameters = leasing._asdict() | {"busy": array(leasing.busy), "limit": limit}
    results = rows(connection, _FAN_OUT, **parameters)
    event_count, delivery_count, webhook_ids, event_ids, in_order = results[0][:_SUMS]
    batch = FanOut(
        event_count=event_count,
        delivery_count=delivery_count,
        webhook_ids=tuple(webhook_ids),
        event_ids=tuple(event_ids),
        in_order=in_order,
    )
    leased = [row[_SUMS:] for row in results if row[_SUMS] is not None]
    targets = {row[1]: row[_TO_SEND:] for row in leased}
    return batch, Claim(
        claimed=tuple(
            read_claimed(row[:_TO_SEND], row[BODY], leasing.token, now_s + leasing.lease_s, now_s) for row in leased
        ),
        targets=read_targets(secrets, targets.values()),
    )
