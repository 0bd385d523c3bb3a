"""Builds the parts from Settings, once a process; the only place that wires. Nothing connects before it is used."""

import logging
import os
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

from dispatcher import clock, failpoints, log
from dispatcher.access import authenticate
from dispatcher.access.authenticate import Admitted, Asked
from dispatcher.access.rate_limit import DEFAULT, EMITS, Limiter
from dispatcher.access.rate_limit import LIMIT_S as QUOTA_LIMIT_S
from dispatcher.broker.flower import TaskEvents
from dispatcher.broker.names import QUEUES
from dispatcher.broker.queue import Queue
from dispatcher.errors import InvalidSetting
from dispatcher.model.event import Event, FanOut
from dispatcher.model.health import BreakerPolicy, Health, WindowPolicy
from dispatcher.pipeline import emit as record_event
from dispatcher.pipeline import fan_out, nudge, prune, reconcile, rollup
from dispatcher.pipeline.dispatch import Dispatch
from dispatcher.pipeline.drain.counting import Tallying
from dispatcher.pipeline.drain.lane import Counts
from dispatcher.pipeline.drain.loop import STRAGGLING_S, Drain
from dispatcher.pipeline.drain.policy import DrainPolicy, drain_policy
from dispatcher.pipeline.emit import NewEvent
from dispatcher.pipeline.fault import guarded
from dispatcher.pipeline.heartbeat import Heartbeat
from dispatcher.pipeline.reconcile import Reconciled
from dispatcher.replays import job
from dispatcher.replays.job import StepResult
from dispatcher.schedule.counters import Tally
from dispatcher.schedule.quota import WINDOW_S, Quota
from dispatcher.schedule.schedule import Schedule
from dispatcher.schedule.sign_ins import SharedTries
from dispatcher.sender.contract import Limits, Sender
from dispatcher.settings import Settings, read_settings
from dispatcher.storage import migrate
from dispatcher.storage.admin import webhooks
from dispatcher.storage.admin.accounts import Account
from dispatcher.storage.engine import Joinable, Storage
from dispatcher.storage.pipeline.events import Emit, any_waiting
from dispatcher.storage.pipeline.listener import Listener
from dispatcher.storage.pipeline.owners import Presence
from dispatcher.storage.secrets import SecretBox
from dispatcher.webhooks import ping
from dispatcher.webhooks.ping import Pinged, Places

if TYPE_CHECKING:
    from dispatcher.access.sign_in import SignIn
    from dispatcher.metrics.worker import WorkerFigures
    from dispatcher.tracing import Tracing

logger = logging.getLogger(__name__)

HELD_MAX = 10_000
"""Webhooks that wait for a drain or are in one, over all workers; what is due beyond it stays in the clock."""


STRAGGLERS_MAX = 256
"""Drains of this process that wait aside, each in a thread of its own, for slow answers."""
BUSY_DRAINS, BUSY_PATIENCE_S = 4, 0.05
"""With so many drains at work, a slow answer is waited for aside after so short a time: others want the thread."""


class Container:
    """The parts of one process. What a process does not use is not built: one that emits has no sender."""

    def __init__(self, settings: Settings) -> None:
        failpoints.arm(settings.failpoint)
        self.settings = settings
        self._idle_senders: list[Sender] = []
        self._senders: list[ReferenceType[Sender]] = []
        self._stragglers = threading.Semaphore(STRAGGLERS_MAX)
        self._behind = threading.Lock()
        self._running: list[Drain] = []
        # A ping may take as long as a receiver likes, within the timeout: other requests must find a thread meanwhile.
        self.ping_places = Places(max(1, settings.web_threads // 2))

    @cached_property
    def storage(self) -> Storage:
        """Postgres."""
        return Storage(self.settings.database_url, SecretBox(self.settings.secret_keys), self.settings.pool_size)

    @cached_property
    def owner(self) -> int:
        """This process's number, under which its drains hold webhooks; children that a pool forks share it."""
        return (int.from_bytes(os.urandom(8)) >> 1) or 1

    @cached_property
    def schedule(self) -> Schedule:
        """The clock in Redis."""
        return Schedule(self.settings.redis_url, hold_s=self.settings.hold_s, owner=self.owner)

    @cached_property
    def queue(self) -> Queue:
        """The broker."""
        return Queue(self.settings.broker_url)

    @cached_property
    def task_events(self) -> TaskEvents:
        """Tells Flower of deliveries."""
        return TaskEvents(self.settings.broker_url, per_second=self.settings.flower_rate)

    @cached_property
    def tally(self) -> Tally:
        """Figures that only grow."""
        return Tally(self.settings.redis_url)

    @cached_property
    def tracing(self) -> "Tracing | None":
        """OpenTelemetry, where it is switched on; raises InvalidSetting where it is not installed."""
        if not self.settings.tracing:
            return None
        try:
            from dispatcher.tracing import Tracing
        except ModuleNotFoundError as error:
            raise InvalidSetting("DISPATCHER_TRACING", "needs the extra `opentelemetry` to be installed") from error
        return Tracing()

    @cached_property
    def figures(self) -> "WorkerFigures | None":
        """This process's own figures for Prometheus, where a port is set for them."""
        if not self.settings.metrics_port:
            return None
        from dispatcher.metrics.worker import WorkerFigures  # the client is loaded by processes that are asked

        return WorkerFigures(self._in_flight, lambda: len(self._running), sender=self.settings.sender)

    @cached_property
    def limiter(self) -> Limiter:
        """Counts the requests of the API's clients."""
        quotas = {DEFAULT: self.settings.quota, EMITS: self.settings.emit_quota}
        return Limiter(self._quota, quotas, WINDOW_S)

    @cached_property
    def _quota(self) -> Quota:
        return Quota(self.settings.redis_url, timeout_s=QUOTA_LIMIT_S)

    @cached_property
    def sign_in(self) -> "SignIn":
        """Checks names and passwords."""
        from dispatcher.access.sign_in import FallingBack, SignIn

        return SignIn(self.storage, FallingBack(self._tries))

    @cached_property
    def _tries(self) -> SharedTries:
        from dispatcher.access.sign_in import LIMIT_S, WINDOW_S

        return SharedTries(self.settings.redis_url, window_s=WINDOW_S, timeout_s=LIMIT_S)

    @property
    def session_idle(self) -> timedelta:
        """After so long without use a session of the console ends."""
        return timedelta(seconds=self.settings.session_idle_s)

    def admit(self, asked: Sequence[Asked]) -> list[Admitted | None]:
        """Who calls the API with each of these access tokens, and their quota with this call counted."""
        return authenticate.admit(self.storage, self.limiter, asked)

    def listener(self) -> Listener:
        """Hears of commits of events."""
        return Listener(self.storage.engine)

    @cached_property
    def heartbeat(self) -> Heartbeat:
        """Says that this process lives, and does what dead ones left.

        A worker that was told to stop does not close it: it finishes its tasks first, and lives until then.
        """
        presence = Presence(self.storage.engine, self.owner)
        return Heartbeat(self.storage, self.schedule, presence, self.reconcile, every_s=self.settings.reconcile_s)

    @cached_property
    def dispatch(self) -> Dispatch:
        """Hands webhooks out to drains."""
        return Dispatch(
            self.schedule,
            self.queue,
            self._drain_policy.window,
            chunk_size=self.settings.drain_chunk,
            held_max=HELD_MAX,
        )

    def emit(
        self,
        account: Account | str,
        events: Sequence[NewEvent],
        connection: Joinable | None = None,
        *,
        traceparent: str | None = None,
    ) -> list[Event]:
        """Stores events; `flow.record_event` says how, and what it raises.

        `traceparent` is a caller's that sent it from afar.
        """
        if self.tracing is None:
            return self._emit(account, events, connection, None)
        with self.tracing.emit([event.name for event in events], traceparent) as span:
            stored = self._emit(account, events, connection, span.traceparent)
            span.stored([event.id for event in stored])
        return stored

    def _emit(
        self,
        account: Account | str,
        events: Sequence[NewEvent],
        connection: Joinable | None,
        traceparent: str | None,
    ) -> list[Event]:
        stored = record_event.record_events(self.storage, account, events, connection, traceparent=traceparent)
        self._tell(stored)
        return stored

    def _tell(self, stored: Sequence[Event]) -> None:
        if repeated := sum(not event.new for event in stored):
            self.tally.add({"duplicates:emit": repeated})
        if logger.isEnabledFor(logging.DEBUG):
            for event in stored:
                logger.debug(log.line("event.recorded", event_id=event.id, name=event.name, new=event.new))

    def emit_together(self, emits: Sequence[Emit]) -> list[list[Event] | None]:
        """What several callers emit, in one commit: their events.

        All or none, but for those (None) that would have to wait for another emit of one of their keys: see
        `emit_waiting`.
        """
        stored = record_event.commit_together(self.storage, emits)
        self._tell([event for events in stored for event in events or ()])
        return stored

    def emit_waiting(self, emit: Emit) -> list[Event]:
        """What one caller emits: its events. Waits for other emits of its keys."""
        stored = record_event.commit(self.storage, emit)
        self._tell(stored)
        return stored

    def nudge_fan_out(self) -> None:
        """One `fan_out` message, unless one waits: events were committed."""
        nudge.nudge(self.schedule, self.queue)

    def has_waiting_events(self) -> bool:
        """Whether an event is in the outbox."""
        return self.storage.read(any_waiting)

    def fan_out(self) -> tuple[FanOut, Counts]:
        """Empties the outbox, and drains here what is too little for a task of its own.

        Sends another `fan_out` where it stopped before the end.
        """
        self.schedule.fan_out_begun()
        kept: list[int] = []
        done = fan_out.fan_out(
            self.storage,
            lambda webhook_ids, delivery_count: kept.extend(self.dispatch.hand_out(webhook_ids, delivery_count)),
            self.settings.fan_out_batch,
            self.tracing.fan_out if self.tracing is not None else None,
        )
        if done.event_count >= self.settings.fan_out_batch * fan_out.MOST_BATCHES:
            self.nudge_fan_out()
        counts = self.deliver(kept) if kept else Counts()
        if done.behind is not None:
            self._come_back_after(done.behind)
        return done, counts

    def _come_back_after(self, event_id: int) -> None:
        """A `fan_out` for what was left in the outbox, as soon as the event is out of another fan-out's hands.

        One thread of a process waits for that at most: it comes back for all.
        """
        if self._behind.acquire(blocking=False):
            try:
                is_over = fan_out.wait_for(self.storage, event_id)
            finally:
                self._behind.release()
            if is_over:
                self.nudge_fan_out()

    def deliver(self, webhook_ids: Sequence[int]) -> Counts:
        """One drain over webhooks that are held for it. What only waits for slow answers is finished aside."""
        sender = self._borrow_sender()
        with _closed_on_error(sender):
            drain = self._drain(sender, webhook_ids)
            counts = self._run(drain)
            self._pass_on(drain.take_go_on())
            if not drain.done and self._is_finished_aside(drain, sender):
                return counts
            drain.finish(self._pass_on)
            self._keep_sender(sender)
        return counts

    def ping(self, slug: str, webhook_id: int, client_id: int | None = None) -> Pinged:
        """Sends a ping to the webhook and waits for the answer; raises TooManyPings where too many are under way."""
        with self.ping_places.one(slug):
            sender = self._borrow_sender()
            try:
                agent = self.settings.user_agent
                return ping.ping(self.storage, sender, slug, webhook_id, user_agent=agent, client_id=client_id)
            finally:
                self._keep_sender(sender)

    def reconcile(self) -> Reconciled:
        """Compares the clock with the rows, now."""
        return reconcile.reconcile(self.storage, self.schedule, self.queue)

    def step_replays(self) -> StepResult:
        """The next batch of every running replay."""
        fresh = Health(window=float(self.settings.window_start))
        return job.step(self.storage, self.schedule, fresh, redelivery_limit=self.settings.redelivery_limit)

    def count_figures(self, lag_s: float = 2.0) -> bool:
        """Counts what was finished since the last time, for the console."""
        return rollup.count_figures(self.storage, lag_s)

    def prune(self) -> list[str]:
        """Drops the days whose time is over."""
        return prune.prune(self.storage, self.settings.retention_days)

    def repair(self) -> int:
        """Deletes Celery's keys and the clock, which may hold what makes workers crash, and rebuilds the clock.

        Returns how many keys of Celery's there were.
        """
        deleted = self.schedule.delete_broker_keys(QUEUES)
        self.schedule.empty()
        self.reconcile()
        return deleted

    def check(self) -> None:
        """Raises where a worker had better not start: migrations missing, a Redis that evicts, or the wrong keys."""
        migrate.check(self.storage)
        self.schedule.check()
        self.storage.read(webhooks.check_newest, self.storage.secrets)

    def serve_figures(self) -> None:
        """Tells Prometheus of this process, where a port is set for that."""
        if self.figures is not None:
            self.figures.serve(self.task_events.hostname, self.settings.metrics_host, self.settings.metrics_port)

    def close(self) -> None:
        """Closes what was opened."""
        for part in ("tally", "heartbeat", "storage", "schedule", "queue", "_quota", "_tries", "tracing"):
            if self.__dict__.get(part) is not None:
                getattr(self, part).close()
        while self._idle_senders:
            self._idle_senders.pop().close()

    def _in_flight(self) -> int:
        """Requests that this process has under way, stragglers too."""
        return sum(sender.in_flight for known in self._senders if (sender := known()) is not None)

    def _patience_s(self) -> float:
        return BUSY_PATIENCE_S if len(self._running) >= BUSY_DRAINS else STRAGGLING_S

    def _drain(self, sender: Sender, webhook_ids: Sequence[int]) -> Drain:
        return Drain(
            self.storage,
            self.schedule,
            sender,
            self._drain_policy,
            webhook_ids,
            rng=random.Random(os.urandom(8)),  # noqa: S311 - jitter, no secret
            tell=None if self.settings.flower_deliveries == "none" else self.task_events.tell,
            tallying=Tallying(self.tally, self.figures.flushed if self.figures is not None else None),
            traces=self.tracing.attempts() if self.tracing is not None else None,
        )

    def _run(self, drain: Drain) -> Counts:
        self._running.append(drain)
        began_s = clock.monotonic()
        try:
            counts = drain.run(self._patience_s)
        finally:
            self._running.remove(drain)
        if self.figures is not None:
            self.figures.drained(counts.delivered + counts.retrying + counts.failed, clock.monotonic() - began_s)
        return counts

    def _is_finished_aside(self, drain: Drain, sender: Sender) -> bool:
        """False where so many hang already, or so many threads run, that this thread had better wait too."""
        if not self._stragglers.acquire(blocking=False):
            return False
        try:
            threading.Thread(target=self._finish_aside, args=(drain, sender), name="stragglers").start()
        except RuntimeError:  # the system has no thread left
            self._stragglers.release()
            return False
        return True

    def _finish_aside(self, drain: Drain, sender: Sender) -> None:
        try:
            with guarded("drain.unfinished"), _closed_on_error(sender):  # holds and leases end by themselves
                drain.finish(self._pass_on)
                self._keep_sender(sender)  # with its connections
        finally:
            self._stragglers.release()

    def _pass_on(self, webhook_ids: list[int]) -> None:
        """What is still held goes to another drain."""
        if webhook_ids:
            with guarded("drain.not_passed_on"):  # the holds end by themselves
                self.dispatch.send(webhook_ids)

    def _borrow_sender(self) -> Sender:
        try:
            return self._idle_senders.pop()
        except IndexError:
            from dispatcher.sender.choose import (
                make_sender,  # libcurl is loaded by processes that send, not by emitters
            )

            made = make_sender(self.settings.sender, self._limits)
            self._senders = [known for known in self._senders if known() is not None] + [ref(made)]
            return made

    def _keep_sender(self, sender: Sender) -> None:
        """For the next who sends; not where answers are awaited, which would be taken for the next one's."""
        if sender.in_flight:
            sender.close()
        else:
            self._idle_senders.append(sender)

    @property
    def health_policies(self) -> tuple[WindowPolicy, BreakerPolicy]:
        """By which a receiver's health is read."""
        return self._drain_policy.window, self._drain_policy.breaker

    @property
    def _limits(self) -> Limits:
        return Limits(
            timeout_s=self.settings.timeout_s,
            connect_timeout_s=self.settings.connect_timeout_s,
            body_limit=self.settings.body_limit,
            allowed_networks=self.settings.allowed_networks,
            refused_networks=self.settings.refused_networks,
        )

    @cached_property
    def _drain_policy(self) -> DrainPolicy:
        return drain_policy(self.settings)


@contextmanager
def _closed_on_error(sender: Sender) -> Iterator[None]:
    """With what is in flight: nobody would collect it."""
    try:
        yield
    except BaseException:  # also where a process is told to end
        sender.close()
        raise


_current: Container | None = None
_lock = threading.Lock()


def current_container() -> Container:
    """This process's container, built from the environment when first asked for; raises InvalidSetting."""
    global _current
    with _lock:
        if _current is None:
            _current = Container(read_settings())
        return _current


def use_container(container: Container | None) -> None:
    """Makes `container` this process's container: for a process that has its settings from elsewhere, and for tests."""
    global _current
    with _lock:
        _current = container
