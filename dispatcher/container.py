"""Builds the parts of one process from Settings; the only place that wires. Nothing connects before it is used."""

import os
from functools import cached_property
from typing import TYPE_CHECKING

from dispatcher import failpoints
from dispatcher.access.control import AccessControl
from dispatcher.broker.flower import TaskEvents
from dispatcher.broker.queue import Queue
from dispatcher.pipeline.deliver import DrainRunner
from dispatcher.pipeline.dispatch import Dispatch
from dispatcher.pipeline.drain.policy import drain_policy
from dispatcher.pipeline.emit import Emitter
from dispatcher.pipeline.event_types import EventTypes
from dispatcher.pipeline.fan_out import FanOutRunner
from dispatcher.pipeline.heartbeat import Heartbeat
from dispatcher.pipeline.intake import Intakes
from dispatcher.pipeline.reconcile import Reconciler
from dispatcher.pipeline.trace import untraced
from dispatcher.producer import load_tracing
from dispatcher.schedule.counters import Counters
from dispatcher.schedule.schedule import Schedule
from dispatcher.sender.pool import SenderPool
from dispatcher.settings import Settings
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline.event_types import newer
from dispatcher.storage.pipeline.owners import Presence
from dispatcher.storage.secrets import SecretBox
from dispatcher.webhooks.ping import Pinger

if TYPE_CHECKING:
    from dispatcher.alerts.runner import Alerts
    from dispatcher.metrics.worker import WorkerMetrics
    from dispatcher.tracing import Tracing


# In this order, where they were built.
_CLOSED = ("event_types", "counters", "heartbeat", "storage", "schedule", "queue", "access", "tracing", "senders")


class Container:
    """The parts of one process. What a process does not use is not built: one that emits has no sender."""

    def __init__(self, settings: Settings) -> None:
        failpoints.arm(settings.failpoint)
        self.settings = settings
        self.drain_policy = drain_policy(settings)
        self.senders = SenderPool(settings)
        self.task_events = TaskEvents(settings.broker_url)
        self.owner = (int.from_bytes(os.urandom(8)) >> 2) or 1
        """This process's number, under which it holds webhooks and leases; children that a pool forks share it."""

    @cached_property
    def storage(self) -> Storage:
        settings = self.settings
        return Storage(settings.database_url, SecretBox(settings.secret_keys), settings.pool_size, settings.schema)

    @cached_property
    def schedule(self) -> Schedule:
        return Schedule(self.settings.redis_url, hold_s=self.settings.hold_s, owner=self.owner)

    @cached_property
    def counters(self) -> Counters:
        return Counters(self.settings.redis_url)

    @cached_property
    def queue(self) -> Queue:
        return Queue(self.settings.broker_url)

    @cached_property
    def tracing(self) -> "Tracing | None":
        return load_tracing(is_on=self.settings.tracing)

    @cached_property
    def worker_metrics(self) -> "WorkerMetrics | None":
        if not self.settings.metrics_port:
            return None
        from dispatcher.metrics.worker import WorkerMetrics  # noqa: PLC0415 -- loaded by processes that use it

        return WorkerMetrics(lambda: self.senders.in_flight, lambda: self.drain_runner.running, self.settings.sender)

    @cached_property
    def emitter(self) -> Emitter:
        settings, trace = self.settings, self.tracing.emit if self.tracing else untraced
        return Emitter(
            lambda: self.storage, lambda count: self.counters.add({"duplicates:emit": count}), trace, settings.schema
        )

    @cached_property
    def event_types(self) -> EventTypes:
        return EventTypes(lambda revision: self.storage.read(newer, revision))

    @cached_property
    def intakes(self) -> Intakes:
        settings, secrets = self.settings, self.storage.secrets
        storage = Storage(settings.database_url, secrets, len(settings.outboxes) + 1, settings.schema)
        return Intakes(settings.outboxes, storage, self.counters, self.owner)

    @cached_property
    def fan_out_runner(self) -> FanOutRunner:
        trace = self.tracing.fan_out if self.tracing else None
        return FanOutRunner(
            self.storage, self.schedule, self.queue, self.dispatch, self.drain_runner,
            trace=trace, keep_current=self.event_types.keep_current,
        )  # fmt: skip

    @cached_property
    def dispatch(self) -> Dispatch:
        return Dispatch(self.schedule, self.queue, self.drain_policy.window, chunk_size=self.settings.drain_chunk)

    @cached_property
    def drain_runner(self) -> DrainRunner:
        publish = None if self.settings.flower_deliveries == "none" else self.task_events.publish
        trace = self.tracing.attempts if self.tracing else None
        return DrainRunner(
            self.storage, self.schedule, self.senders, self.dispatch, self.drain_policy, self.counters,
            publish=publish, metrics=self.worker_metrics, trace=trace,
        )  # fmt: skip

    @cached_property
    def heartbeat(self) -> Heartbeat:
        presence, every_s = Presence(self.storage.engine, self.owner), self.settings.reconcile_s
        return Heartbeat(self.storage, self.schedule, presence, reconcile=self.reconciler.reconcile, every_s=every_s)

    @cached_property
    def reconciler(self) -> Reconciler:
        return Reconciler(self.storage, self.schedule, self.queue)

    @cached_property
    def alerts(self) -> "Alerts":
        from dispatcher.alerts.runner import Alerts  # noqa: PLC0415 -- loaded by processes that use it

        return Alerts(self.storage, self.schedule, self.queue, self.senders, self.counters, self.settings)

    @cached_property
    def pinger(self) -> Pinger:
        return Pinger(self.storage, self.senders, self.settings)

    @cached_property
    def access(self) -> AccessControl:
        return AccessControl(self.storage, self.settings)

    def close(self) -> None:
        """Closes what was opened."""
        for part in (self.__dict__.get(name) for name in _CLOSED):
            if part is not None:
                part.close()
