"""Pages of an account's deliveries: how many rows one of them may read, and from where the next goes on.

Of which event a delivery is stands in the event only: in the delivery it would cost every fan-out, and an index on it
every delivery that is finished. So for a page of one event's deliveries the newest ones of the account's webhooks are
read, whatever event they are of, as many as SCANS allow. A page may then be short although older ones follow, and says
so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from dispatcher.storage.engine import Connection, array, rows, scalar, scalars
from dispatcher.storage.reads import deliveries as delivery_reads
from dispatcher.storage.reads.deliveries import Conditions, DeliveryRow

SCANS = (1_000, 10_000, 20_000)
"""Deliveries that a page reads, scan by scan; what is emitted often is found by the first."""
CLOCKS_DIFFER = timedelta(hours=1)
"""By more than this a delivery's time is never behind that of one with a higher id."""
LEAST = 5
"""A scan reads at least this many of each webhook, however many webhooks there are."""
_BEYOND = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Deliveries, newest first. `before`: older ones may follow, with an id below it; None: these are the last."""

    deliveries: tuple[DeliveryRow, ...]
    before: int | None


# Ids rise with time, so the first one of a time is found by halves: some twenty look-ups, where a list would walk over
# all that came later. Index: deliveries_by_id, in each day's partition from that day on.
_FIRST_ID = """
with recursive later as not materialized (
    select id, created_at from dispatcher.deliveries where finished_on is not null and finished_on >= %(day)s),
halves (low, high) as (
    select (select min(id) from later), (select max(id) + 1 from later)
    union all
    select case when d.created_at < %(at)s then d.id + 1 else h.low end,
        case when d.created_at < %(at)s then h.high else (h.low + h.high) / 2 end
    from halves h cross join lateral (
        select id, created_at from later where id >= (h.low + h.high) / 2 order by id limit 1) d
    where h.low < h.high)
select low from halves where low >= high and exists (select from later where id >= low)
"""

# Index: webhooks_of_account.
_WEBHOOKS = """
select id from dispatcher.webhooks w
where account_id = (select id from dispatcher.accounts where slug = %(slug)s) {of_webhook}
"""

# The next of each webhook below its place, and which of them are of the event. Of events, which are asked for by all
# their ids at once, the primary key or events_by_account is used: a look-up for each delivery would be one for each of
# those that an event fanned out to.
_SCAN = """
with scanned as materialized (
    select w.id as webhook_id, d.id, d.event_id
    from unnest(%(webhook_ids)s::int[], %(places)s::bigint[], %(shares)s::int[]) as w (id, place, share)
    cross join lateral (select * from ({parts}) part order by id desc limit w.share) d),
named as materialized (
    select id from dispatcher.events
    where account_id = (select id from dispatcher.accounts where slug = %(slug)s) and name = %(event_name)s
        and id = any (array (select distinct event_id from scanned))
        and id between (select min(event_id) from scanned) and (select max(event_id) from scanned))
select s.webhook_id, count(*), min(s.id), max(s.id), array_agg(s.id) filter (where n.id is not null)
from scanned s left join named n on n.id = s.event_id group by s.webhook_id
"""

# The webhook's pending ones are sorted, as for the list in deliveries.py, and for the same reason.
_WAITING = """
(select id, event_id from dispatcher.deliveries_waiting d where d.webhook_id = w.id and d.id + 0 < w.place {conditions}
order by d.id + 0 desc limit w.share)
"""

# Index: deliveries_..._by_webhook of each day, backwards; deliveries_failed where only these are wanted. Asked for one
# webhook as a range and in the order of these: see replays/selection.py.
_FINISHED = """
(select id, event_id from dispatcher.deliveries d
where (d.webhook_id, d.id) < (w.id, w.place) and d.webhook_id >= w.id {conditions}
order by d.webhook_id desc, d.id desc limit w.share)
"""


def _scan_sql(where: Conditions) -> str:
    parts = ((_WAITING, where.waiting), (_FINISHED, where.finished))
    return _SCAN.format(parts="union all".join(sql.format(conditions=text) for sql, text in parts if text is not None))


def page(
    connection: Connection,
    /,
    slug: str,
    *,
    limit: int = 40,
    event_name: str | None = None,
    scans: Sequence[int] = SCANS,
    **filters: Any,
) -> Page:
    """A page of `delivery_reads.deliveries`, filtered as there; of one event it reads as many as `scans` allow."""
    if filters.get("until") is not None:
        bounds = first_id(connection, filters["until"]), filters.get("before")
        filters["before"] = min((id_ for id_ in bounds if id_ is not None), default=None)
    is_few = any(filters.get(name) is not None for name in ("ids", "idempotency_key"))  # each is looked up by its id
    if event_name is None or is_few:
        listed = delivery_reads.deliveries(connection, slug, limit=limit + 1, event_name=event_name, **filters)
        before = listed[limit - 1].id if len(listed) > limit else None
        return Page(deliveries=tuple(listed[:limit]), before=before)
    search = _Search(connection, slug, event_name, filters)
    for most in scans:
        if search.has_more and len(search.known) <= limit:
            search.scan(most)
    known = search.known
    before = known[limit - 1] if len(known) > limit else search.horizon
    return Page(deliveries=tuple(delivery_reads.by_ids(connection, known[:limit])), before=before)


def first_id(connection: Connection, until: datetime) -> int | None:
    """An id above those of all deliveries that were created before `until`, and near it; None where none is later."""
    id_: int | None = scalar(connection, _FIRST_ID, at=until + CLOCKS_DIFFER, day=until.astimezone(UTC).date())
    return id_


@dataclass(slots=True)
class _Trail:
    """How far a webhook's deliveries were read: `count` of them, down to the one with the id `place`."""

    place: int
    count: int = 0


class _Search:
    """Reads the deliveries of all webhooks at once, from the newest on.

    Each scan reads on where it is needed: a webhook that has most of the deliveries gets most of a scan, so that all
    come to about the same place.
    """

    def __init__(self, connection: Connection, slug: str, event_name: str, filters: Mapping[str, Any]) -> None:
        self._connection = connection
        self._parameters = delivery_reads.filter_parameters(**{**filters, "before": None})
        where = delivery_reads.conditions(self._parameters)
        self._parameters |= {"slug": slug, "event_name": event_name}
        self._sql = _scan_sql(where)
        self._matches: list[int] = []
        self._newest = 0
        before = filters.get("before")
        webhook_ids = scalars(connection, _WEBHOOKS.format(of_webhook=where.of_webhook), **self._parameters)
        self._trails = {id_: _Trail(place=_BEYOND if before is None else before) for id_ in webhook_ids}

    @property
    def has_more(self) -> bool:
        return bool(self._trails)

    @property
    def horizon(self) -> int | None:
        """Above it, and at it, all were read; None: all were."""
        return max((trail.place for trail in self._trails.values()), default=None)

    @property
    def known(self) -> list[int]:
        """Those of the event down to the horizon, newest first: below it others may be missing."""
        horizon = self.horizon or 0
        return sorted((id_ for id_ in self._matches if id_ >= horizon), reverse=True)

    def scan(self, most: int) -> None:
        """Reads about `most` more."""
        shares = self._shares(most)
        parameters = {
            "webhook_ids": array(shares),
            "places": array(self._trails[id_].place for id_ in shares),
            "shares": array(shares.values()),
        }
        scanned = {row[0]: row[1:] for row in rows(self._connection, self._sql, **self._parameters, **parameters)}
        for webhook_id, share in shares.items():
            count, place, newest, ids = scanned.get(webhook_id, (0, 0, 0, None))
            self._matches += ids or ()
            self._newest = max(self._newest, newest)
            if count < share:
                del self._trails[webhook_id]
            else:
                self._trails[webhook_id] = _Trail(place=place, count=self._trails[webhook_id].count + count)

    def _shares(self, most: int) -> dict[int, int]:
        """How many to read of each webhook, so that all come to the same depth below the newest.

        The first time alike; then by how dense each one's deliveries were so far, none of those that are that deep.
        """
        if not self._newest:
            return dict.fromkeys(self._trails, max(most // len(self._trails), LEAST))
        depths = {id_: self._newest - trail.place + 1 for id_, trail in self._trails.items()}
        rates = {id_: trail.count / depths[id_] for id_, trail in self._trails.items()}
        nearest_first = sorted(depths, key=lambda id_: depths[id_])
        taken, count, rate = 0, float(most), 0.0
        for id_ in nearest_first:
            if rate and depths[id_] >= count / rate:
                break
            taken, count, rate = taken + 1, count + self._trails[id_].count, rate + rates[id_]
        return {id_: ceil(rates[id_] * (count / rate - depths[id_])) or 1 for id_ in nearest_first[:taken]}
