"""Replays many deliveries: a job in Postgres, which every worker carries on, a batch at a time.

start     count what matches, webhook by webhook, and store the job with a cursor for each
step      make the next batch pending: deliveries, cursors and counts in one transaction, then the schedule
stop      no batch after this; `resume` lets it go on from there
dry_run   count, and store nothing

Live traffic goes first: a webhook is filled up only as far as its receiver keeps up with (`model.replay.due_limit`).
What matches is decided by when the job was created, so what fails again meanwhile is not sent a second time.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from marshmallow import ValidationError

from dispatcher import log
from dispatcher.errors import InvalidReplay, ScheduleUnavailable
from dispatcher.model.account import Account
from dispatcher.model.delivery import State
from dispatcher.model.health import Health
from dispatcher.model.replay import Replay, ReplaySpec, StepResult, allowance, due_limit
from dispatcher.pipeline.drain.policy import drain_policy
from dispatcher.pipeline.wake import wake
from dispatcher.schedule.schedule import Schedule
from dispatcher.schemas.api.replay import ReplaySchema
from dispatcher.schemas.api.urls import BLANK
from dispatcher.schemas.errors import texts_by_field
from dispatcher.schemas.wire.fields import written_in
from dispatcher.settings import Settings
from dispatcher.storage.admin import audit
from dispatcher.storage.engine import Connection, Storage, transactional
from dispatcher.storage.replays import jobs, selection
from dispatcher.storage.replays.jobs import Advance, Remaining
from dispatcher.storage.replays.selection import Scan, SelectionLimits

logger = logging.getLogger(__name__)

BATCH = 500
"""Deliveries that one step makes pending."""
WEBHOOKS = 200
"""Webhooks of a replay that one step serves."""
MOST_RUNNING = 20
"""Replays of one account that run at a time."""
SCAN = 2_000
"""Deliveries or events that a step reads to find a batch."""
COUNT, COUNT_EVENTS, COUNT_WEBHOOKS = 100_000, 20_000, 1_000
"""Rows that one statement counts among, and the webhooks whose they are."""

_schema = ReplaySchema()


def start(
    storage: Storage,
    schedule: Schedule,
    account: Account,
    requested: Mapping[str, Any],
    *,
    redelivery_limit: int,
    client_id: int | None = None,
) -> Replay:
    """A new replay of what is `requested` (schemas/api/replay.py); with `client_id` of that client's webhooks only.

    What was redelivered `redelivery_limit` times is left out, unless it gets a new key. Receivers that are paused
    are probed at once: somebody thinks that they have recovered. Raises InvalidReplay.
    """
    spec = _parse(storage, requested)
    if storage.read(jobs.count_running, account.id) >= MOST_RUNNING:
        raise InvalidReplay({"state": [f"{MOST_RUNNING} replays are running; stop one, or wait for one to be done"]})
    matched = _count(storage, account, spec, redelivery_limit, client_id)

    def add(connection: Connection) -> Replay:
        added = jobs.add(connection, account.id, client_id, spec, matched)
        audit.record(connection, "replay.started", added.id, account_id=account.id, matched=added.matched)
        return added

    replay = storage.transact(add)
    logger.info(log.line("replay.started", replay_id=replay.id, matched=replay.matched, webhooks=len(matched)))
    storage.after_commit(partial(_wake_paused, schedule, matched))
    return replay


def dry_run(
    storage: Storage,
    account: Account,
    requested: Mapping[str, Any],
    *,
    redelivery_limit: int,
    client_id: int | None = None,
) -> int:
    """How many deliveries `start` would send now; raises what it raises."""
    return sum(_count(storage, account, _parse(storage, requested), redelivery_limit, client_id).values())


@transactional
def stop(
    connection: Connection, replay_id: int, *, account_id: int | None = None, client_id: int | None = None
) -> Replay:
    """The replay, which sends nothing more; raises ReplayNotFound, as one of another account or client is."""
    stopped, was_running = jobs.stop(connection, replay_id, account_id=account_id, client_id=client_id)
    if was_running:
        audit.record(connection, "replay.stopped", replay_id, account_id=stopped.account_id)
    return stopped


@transactional
def resume(
    connection: Connection, replay_id: int, *, account_id: int | None = None, client_id: int | None = None
) -> Replay:
    """The replay, which goes on where it was stopped; one that is done stays done. Raises ReplayNotFound."""
    resumed, was_stopped = jobs.resume(connection, replay_id, account_id=account_id, client_id=client_id)
    if was_stopped:
        audit.record(connection, "replay.resumed", replay_id, account_id=resumed.account_id)
    return resumed


def step(storage: Storage, schedule: Schedule, settings: Settings) -> StepResult:
    """The next batch of every running replay; harmless when doubled."""
    running, fresh = storage.read(jobs.running), Health.fresh(drain_policy(settings).window)
    sent, progressed = 0, False
    for replay_id in running:
        batch = _batch(storage, schedule, replay_id, fresh, settings.redelivery_limit)
        sent += sum(one.sent for one in batch)
        progressed = progressed or bool(batch)
    return StepResult(running=len(running), sent=sent, progressed=progressed)


# -- start -------------------------------------------------------------------------------------------------------------


def _parse(storage: Storage, requested: Mapping[str, Any]) -> ReplaySpec:
    """What is requested, as of now; raises InvalidReplay with every message at once."""
    try:
        with written_in("UTC"):
            checked: dict[str, Any] = _schema.load(dict(requested))
    except ValidationError as error:
        raise InvalidReplay(texts_by_field(error)) from None
    as_of = storage.read(jobs.now)
    if messages := _problems(checked, as_of):
        raise InvalidReplay(messages)
    del checked["dry_run"]
    checked["event_names"] = checked["event_names"] and tuple(checked["event_names"])
    checked["states"] = () if checked["missed"] else tuple(map(State, checked["states"] or [State.FAILED]))
    checked["until"] = min(checked["until"] or as_of, as_of)
    spec = ReplaySpec(**checked, as_of=as_of)
    oldest = storage.read(selection.oldest_day) if spec.missed else None
    # A second later than the day, because the ids of events round: what was recorded just before is not of that day.
    return replace(spec, since=max(spec.since, oldest + timedelta(seconds=1))) if oldest else spec


def _problems(checked: Mapping[str, Any], as_of: datetime) -> dict[str, list[str]]:
    problems: dict[str, list[str]] = {}
    if checked["since"] >= as_of:
        problems["since"] = ["must be in the past"]
    elif checked["until"] is not None and checked["until"] <= checked["since"]:
        problems["until"] = ["must be after since"]
    if checked["missed"]:
        if checked["webhook_id"] is None:
            problems["webhook_id"] = [BLANK]
        if checked["states"] is not None:
            problems["states"] = ["must be absent with missed: there are no deliveries yet"]
        if checked["new_key"]:
            problems["new_key"] = ["must be absent with missed: every delivery is new"]
    return problems


def _count(
    storage: Storage, account: Account, spec: ReplaySpec, redelivery_limit: int, client_id: int | None
) -> dict[int, int]:
    """Webhook → how many match; those without any are left out. No statement of it takes long."""
    webhook_ids = storage.read(selection.webhooks, account.id, spec.webhook_id, client_id)
    if spec.webhook_id is not None and not webhook_ids:
        raise InvalidReplay({"webhook_id": ["does not exist"]})
    matched: Counter[int] = Counter()
    afters = dict.fromkeys(webhook_ids, 0)
    while afters:
        now = dict(list(afters.items())[:COUNT_WEBHOOKS])
        size = (COUNT_EVENTS if spec.missed else COUNT) // len(now)
        limits = SelectionLimits(scan=size, redeliveries=redelivery_limit)
        scans = storage.read(selection.count, account_id=account.id, spec=spec, afters=now, limits=limits)
        for webhook_id in now:
            del afters[webhook_id]
            if scan := scans.get(webhook_id):
                matched[webhook_id] += scan.matched
                if scan.scanned == size:
                    afters[webhook_id] = scan.last_id
    return {webhook_id: count for webhook_id, count in sorted(matched.items()) if count}


def _wake_paused(schedule: Schedule, matched: Mapping[int, int]) -> None:
    try:
        paused = schedule.pauses().keys() & matched.keys()
    except ScheduleUnavailable:
        return  # they are tried when their pause is over
    wake(schedule, dict.fromkeys(paused, 0.0), afresh=True)


# -- step --------------------------------------------------------------------------------------------------------------


def _batch(storage: Storage, schedule: Schedule, replay_id: int, fresh: Health, redelivery_limit: int) -> list[Advance]:
    """One replay's next batch, which is then in the schedule."""
    webhook_ids = storage.read(jobs.next_webhooks, replay_id=replay_id, limit=WEBHOOKS)
    healths = _healths(schedule, webhook_ids, fresh)
    batch = storage.transact(_move, replay_id=replay_id, healths=healths, redelivery_limit=redelivery_limit)
    counts = {one.webhook_id: one.sent for one in batch if one.sent}
    if counts:
        wake(schedule, dict.fromkeys(counts, 0.0))
        total = sum(counts.values())
        logger.info(log.line("replay.sent", replay_id=replay_id, deliveries=total, webhooks=len(counts)))
    return batch


def _healths(schedule: Schedule, webhook_ids: Sequence[int], fresh: Health) -> dict[int, Health]:
    """Of each webhook, in that order. Asked before the transaction, in which nobody waits for Redis."""
    try:
        known = schedule.healths(webhook_ids)
    except ScheduleUnavailable as error:
        logger.warning(log.line("replay.schedule_unavailable", reason=error))
        known = {}
    return {id_: known.get(id_, fresh) for id_ in webhook_ids}


def _move(
    connection: Connection, replay_id: int, healths: Mapping[int, Health], redelivery_limit: int
) -> list[Advance]:
    """Makes a batch pending, in one transaction with the cursors; returns how far it came with each webhook.

    1. One step at a time over all workers, and none of a replay that was stopped meanwhile.
    2. How many may go to each webhook: by the replay's rate, by what is due there, by what is left.
    3. Take and move them; store the cursors and the counts.
    """
    if not jobs.try_lock_steps(connection) or (locked := jobs.lock(connection, replay_id)) is None:
        return []
    rate = locked.replay.rate
    allowed, forfeited_s = allowance(rate, locked.waited_s, BATCH)
    if not allowed:
        return []
    left = jobs.remaining(connection, replay_id, list(healths), BATCH)
    rooms = _allocate([left[id_] for id_ in healths if id_ in left], healths, allowed)
    advances = [
        Advance(webhook_id=one.webhook_id, last_id=one.last_id, done=True) for one in left.values() if _is_done(one)
    ]
    advances += _send(connection, locked.replay, left, rooms, redelivery_limit)
    turn = _next_cursor(list(healths), rooms, allowed)
    if advances or turn != locked.turn:
        sent = sum(one.sent for one in advances)
        jobs.advance(connection, replay_id, advances)
        paced_s = forfeited_s + sent / rate if rate else 0.0
        jobs.record_progress(connection, replay_id, sent=sent, turn=turn, paced_s=paced_s)
    return advances


def _is_done(one: Remaining) -> bool:
    return one.deleted or one.unsent <= 0


def _allocate(left: Sequence[Remaining], healths: Mapping[int, Health], allowed: int) -> dict[int, int]:
    """Webhook → how many it gets now; those that get none are left out. All with room get the same, in turn."""
    free = {}
    for one in left:
        room = min(BATCH, due_limit(healths[one.webhook_id], one.rate_limit)) - one.due
        if room > 0 and not _is_done(one):
            free[one.webhook_id] = min(room, one.unsent)
    share = max(1, allowed // max(1, len(free)))
    rooms: dict[int, int] = {}
    for webhook_id, room in free.items():
        size = min(room, share, allowed - sum(rooms.values()))
        if size > 0:
            rooms[webhook_id] = size
    return rooms


def _next_cursor(webhook_ids: Sequence[int], rooms: Mapping[int, int], allowed: int) -> int:
    """The webhook after which the next step begins: the last that got something, if that was all there was to give."""
    if sum(rooms.values()) >= allowed:
        return list(rooms)[-1]
    return webhook_ids[-1] if webhook_ids else 0


def _send(
    connection: Connection,
    replay: Replay,
    left: Mapping[int, Remaining],
    rooms: Mapping[int, int],
    redelivery_limit: int,
) -> list[Advance]:
    if not rooms:
        return []
    limits = SelectionLimits(scan=max(1, SCAN // len(rooms)), redeliveries=redelivery_limit)
    afters = {webhook_id: left[webhook_id].last_id for webhook_id in rooms}
    scans = selection.pick(connection, replay.account_id, replay, afters, limits)
    live = selection.hold_webhooks(connection, list(rooms))
    batches = {id_: replace(scans[id_], ids=scans[id_].ids[: rooms[id_]]) for id_ in live if id_ in scans}
    sent = _make_pending(connection, replay, batches)
    return [_advance(left[id_], scans.get(id_), rooms[id_], sent[id_], limits.scan) for id_ in live]


def _make_pending(connection: Connection, spec: ReplaySpec, batches: Mapping[int, Scan]) -> Counter[int]:
    """Webhook → how many."""
    if spec.missed:
        build = partial(selection.build, connection)
        moved = [delivery for id_, batch in batches.items() for delivery in build(id_, batch.ids)]
    else:
        moved = selection.move(connection, spec, list(batches.values()))
    return Counter(one.webhook_id for one in moved)


def _advance(one: Remaining, scan: Scan | None, room: int, sent: int, size: int) -> Advance:
    """Past the last one taken; past all that was scanned where there was room for all that match."""
    if scan is None:
        return Advance(webhook_id=one.webhook_id, last_id=one.last_id, done=True)
    full = scan.matched > room
    return Advance(
        webhook_id=one.webhook_id,
        last_id=scan.ids[room - 1] if full else scan.last_id,
        sent=sent,
        done=sent >= one.unsent or (not full and scan.scanned < size),
    )
