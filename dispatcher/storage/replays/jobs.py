"""Replays: jobs that make many deliveries pending again, and how far each has come, webhook by webhook.

What they take, and how it is moved, is in `selection`. Whoever moves a batch stores in the same transaction how far the
cursors have come, so each match is moved once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from dispatcher.errors import ReplayNotFound
from dispatcher.model.delivery import State
from dispatcher.model.replay import Replay, ReplaySpec, ReplayState
from dispatcher.storage.engine import Connection, array, one, record, records, rows, scalar, scalars
from dispatcher.storage.stats import partitions

_LOCK = 5_264_073

# In the order of Replay's fields.
_COLUMNS = """r.webhook_id, r.event_names, r.states, r.since, r.until, r.created_at, r.rate, r.new_key, r.missed,
    r.id, r.account_id, a.time_zone, r.state, r.matched, r.sent, r.updated_at, r.finished_at"""

# One step at a time: two replays that build what the same webhook missed would both find an event without a delivery.
# And no day of events may be dropped while a delivery of one of them becomes pending again.
_TAKE_TURN = "select pg_try_advisory_xact_lock(%(lock)s) and pg_try_advisory_xact_lock_shared(%(prune)s)"

_ADD = f"""
with r as (
    insert into dispatcher.replays (account_id, client_id, webhook_id, event_names, states, since, until, rate,
        new_key, missed, state, matched, paced_at, created_at, finished_at)
    values (%(account_id)s, %(client_id)s, %(webhook_id)s, %(event_names)s::text[], %(states)s::text[], %(since)s,
        %(until)s, %(rate)s, %(new_key)s, %(missed)s, case when %(matched)s > 0 then 'running' else 'done' end,
        %(matched)s, dispatcher.now(), %(as_of)s, case when %(matched)s = 0 then dispatcher.now() end)
    returning *)
select {_COLUMNS} from r join dispatcher.accounts a on a.id = r.account_id
"""

_ADD_WEBHOOKS = """
insert into dispatcher.replay_webhooks (replay_id, webhook_id, matched)
select %(id)s, webhook_id, matched from unnest(%(webhook_ids)s::int[], %(matched)s::bigint[]) as w (webhook_id, matched)
"""

_OWNED = """
(%(account_id)s::int is null or r.account_id = %(account_id)s)
    and (%(client_id)s::int is null or r.client_id = %(client_id)s)
"""

_FIND = (
    f"select {_COLUMNS} from dispatcher.replays r join dispatcher.accounts a on a.id = r.account_id"
    f" where r.id = %(id)s and {_OWNED}"
)

# Index: replays_by_account, backwards.
_LIST = f"""
select {_COLUMNS} from dispatcher.replays r join dispatcher.accounts a on a.id = r.account_id
where r.account_id = %(account_id)s and {_OWNED} and (%(before)s::int is null or r.id < %(before)s)
order by r.id desc offset %(offset)s limit %(limit)s
"""

_STOP = f"""
update dispatcher.replays r set state = 'stopped', finished_at = dispatcher.now(), updated_at = dispatcher.now()
where id = %(id)s and state = 'running' and {_OWNED}
returning id
"""

_RESUME = f"""
update dispatcher.replays r
    set state = 'running', finished_at = null, updated_at = dispatcher.now(), paced_at = dispatcher.now()
where id = %(id)s and state = 'stopped' and {_OWNED}
returning id
"""

# Those that got on last come first: one whose step fails again and again must not keep the others from theirs.
# Index: replays_running.
_RUNNING = "select id from dispatcher.replays where state = 'running' order by updated_at desc, id"

_COUNT_RUNNING = "select count(*) from dispatcher.replays where state = 'running' and account_id = %(account_id)s"

_PRUNE = (
    "delete from dispatcher.replays where finished_at < dispatcher.now() - make_interval(days => %(days)s) returning id"
)

_LOCK_RUNNING = f"""
select {_COLUMNS}, r.turn, extract(epoch from dispatcher.now() - r.paced_at)::float8
from dispatcher.replays r join dispatcher.accounts a on a.id = r.account_id
where r.id = %(id)s and r.state = 'running' for update of r
"""

# The next webhooks in turn: those after the last one of the step before, then from the first on.
# Index: replay_webhooks_left.
_TURN = "(select turn from dispatcher.replays where id = %(id)s)"
_NEXT = f"""
select webhook_id from (
    (select 1 as round, webhook_id from dispatcher.replay_webhooks
     where replay_id = %(id)s and not done and webhook_id > {_TURN} order by webhook_id limit %(limit)s)
    union all
    (select 2, webhook_id from dispatcher.replay_webhooks
     where replay_id = %(id)s and not done and webhook_id <= {_TURN} order by webhook_id limit %(limit)s)) next
order by round, webhook_id limit %(limit)s
"""

# What is due to each is counted up to a limit. Index: replay_webhooks' key; deliveries_due.
_LEFT = """
select r.webhook_id, r.last_id, r.matched - r.sent, w.deleted_at is not null, w.rate_limit,
    (select count(*) from (
        select from dispatcher.deliveries_waiting
        where webhook_id = r.webhook_id and next_attempt_at <= dispatcher.now() limit %(most)s) d)
from dispatcher.replay_webhooks r join dispatcher.webhooks w on w.id = r.webhook_id
where r.replay_id = %(id)s and r.webhook_id = any (%(webhook_ids)s::int[]) and not r.done
"""

# Index: replay_webhooks' key.
_ADVANCE = """
update dispatcher.replay_webhooks r set last_id = n.last_id, sent = r.sent + n.sent, done = n.done
from unnest(%(webhook_id)s::int[], %(last_id)s::bigint[], %(sent)s::bigint[], %(done)s::bool[])
    as n (webhook_id, last_id, sent, done)
where r.replay_id = %(id)s and r.webhook_id = any (%(webhook_id)s::int[]) and r.webhook_id = n.webhook_id
"""

# Index: replay_webhooks_left.
_RECORD_PROGRESS = """
update dispatcher.replays set sent = sent + %(sent)s, turn = %(turn)s, updated_at = dispatcher.now(),
    paced_at = paced_at + make_interval(secs => %(paced_s)s),
    state = case when left_over then 'running' else 'done' end,
    finished_at = case when not left_over then dispatcher.now() end
from (select exists (select from dispatcher.replay_webhooks where replay_id = %(id)s and not done) as left_over) l
where id = %(id)s
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Remaining:
    """A webhook of a replay that is not done: how far it is, and what is to be known before more is sent to it."""

    webhook_id: int
    last_id: int
    unsent: int
    deleted: bool
    rate_limit: int | None
    due: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedReplay:
    """A running replay, held until the transaction ends."""

    replay: Replay
    turn: int
    waited_s: float
    """Seconds since its rate was used up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Advance:
    """How far a replay has come with a webhook, and how many more were sent to it."""

    webhook_id: int
    last_id: int
    sent: int = 0
    done: bool = False


def now(connection: Connection) -> datetime:
    """The time of the clock that decides."""
    now_: datetime = scalar(connection, "select dispatcher.now()")
    return now_


def add(
    connection: Connection, account_id: int, client_id: int | None, spec: ReplaySpec, matched: Mapping[int, int]
) -> Replay:
    """A new replay; `matched`: webhook → how many of its deliveries match. It is done where there are none."""
    row = rows(
        connection,
        _ADD,
        **{**asdict(spec), "event_names": spec.event_names and list(spec.event_names), "states": list(spec.states)},
        account_id=account_id,
        client_id=client_id,
        matched=sum(matched.values()),
    )[0]
    replay = _replay(row)
    rows(connection, _ADD_WEBHOOKS, id=replay.id, webhook_ids=array(matched), matched=array(matched.values()))
    return replay


def find(
    connection: Connection, replay_id: int, *, account_id: int | None = None, client_id: int | None = None
) -> Replay:
    """One replay, of that account and client if given; raises ReplayNotFound."""
    missing = ReplayNotFound(replay_id)
    return _replay(one(connection, missing, _FIND, id=replay_id, account_id=account_id, client_id=client_id))


def list_for_account(
    connection: Connection,
    account_id: int,
    *,
    client_id: int | None = None,
    before: int | None = None,
    offset: int = 0,
    limit: int = 40,
) -> list[Replay]:
    """A page of the account's replays, newest first; with `client_id` only those that this client asked for.

    A page begins at an `offset`, or after the one `before`, the last of the page before it.
    """
    parameters = {"account_id": account_id, "client_id": client_id, "before": before}
    return [_replay(row) for row in rows(connection, _LIST, **parameters, offset=offset, limit=limit)]


def count_running(connection: Connection, account_id: int) -> int:
    """How many of the account are running."""
    count: int = scalar(connection, _COUNT_RUNNING, account_id=account_id)
    return count


def stop(
    connection: Connection, replay_id: int, *, account_id: int | None = None, client_id: int | None = None
) -> tuple[Replay, bool]:
    """Ends the replay where it is; returns it, and whether it was running. Raises ReplayNotFound."""
    changed = rows(connection, _STOP, id=replay_id, account_id=account_id, client_id=client_id)
    return find(connection, replay_id, account_id=account_id, client_id=client_id), bool(changed)


def resume(
    connection: Connection, replay_id: int, *, account_id: int | None = None, client_id: int | None = None
) -> tuple[Replay, bool]:
    """Lets a stopped replay go on; returns it, and whether it was stopped. Raises ReplayNotFound."""
    changed = rows(connection, _RESUME, id=replay_id, account_id=account_id, client_id=client_id)
    return find(connection, replay_id, account_id=account_id, client_id=client_id), bool(changed)


def prune(connection: Connection, days: int) -> int:
    """Deletes replays that ended at least `days` ago; returns how many."""
    return len(rows(connection, _PRUNE, days=days))


# -- A step ------------------------------------------------------------------------------------------------------------


def running(connection: Connection) -> list[int]:
    """Replays that are neither done nor stopped, those first that got on last."""
    return scalars(connection, _RUNNING)


def next_webhooks(connection: Connection, replay_id: int, limit: int) -> list[int]:
    """Webhooks of the replay that are not done, in turn."""
    return scalars(connection, _NEXT, id=replay_id, limit=limit)


def try_lock_steps(connection: Connection) -> bool:
    """Whether the caller may step until its transaction ends; False where another steps, or days are dropped."""
    return bool(scalar(connection, _TAKE_TURN, lock=_LOCK, prune=partitions.LOCK))


def lock(connection: Connection, replay_id: int) -> LockedReplay | None:
    """The replay, if it is running; it cannot be stopped before the transaction ends."""
    for *columns, turn, waited_s in rows(connection, _LOCK_RUNNING, id=replay_id):
        return LockedReplay(replay=_replay(columns), turn=turn, waited_s=waited_s)
    return None


def remaining(
    connection: Connection, replay_id: int, webhook_ids: Sequence[int], most_due: int
) -> dict[int, Remaining]:
    """Of these webhooks those that are not done; what is due to each is counted up to `most_due`."""
    left = records(connection, Remaining, _LEFT, id=replay_id, webhook_ids=array(webhook_ids), most=most_due)
    return {webhook.webhook_id: webhook for webhook in left}


def advance(connection: Connection, replay_id: int, advances: Sequence[Advance]) -> None:
    """Stores how far the replay has come with each webhook."""
    columns = {name: array(getattr(one, name) for one in advances) for name in Advance.__dataclass_fields__}
    rows(connection, _ADVANCE, **columns, id=replay_id)


def record_progress(connection: Connection, replay_id: int, *, sent: int, turn: int, paced_s: float) -> None:
    """Adds to what was sent and moves the end of what the rate allowed; the replay is done with its last webhook."""
    rows(connection, _RECORD_PROGRESS, id=replay_id, sent=sent, turn=turn, paced_s=paced_s)


def _replay(row: Iterable[Any]) -> Replay:
    stored = record(Replay, row)
    return replace(stored, states=tuple(map(State, stored.states)), state=ReplayState(stored.state))
