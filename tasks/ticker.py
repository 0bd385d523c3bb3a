"""The bootstep that runs `dispatcher.pipeline.ticks` in every worker."""

import threading
from typing import Any

from celery import bootsteps
from celery.worker import state

from dispatcher.background import BackgroundThread
from dispatcher.broker.names import EVENTS
from dispatcher.current import current_container
from dispatcher.model.replay import StepResult
from dispatcher.pipeline.ticks import Ticks, WorkerState, run_replays
from dispatcher.replays import job

STOP_S = 10.0


class Ticker(bootsteps.StartStopStep):
    """Starts the threads when the worker starts and ends them when the worker stops."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **_: object) -> None:
        self._threads: list[BackgroundThread] = []
        super().__init__(parent)

    def start(self, parent: Any) -> None:
        """Starts ticking."""
        worker = WorkerState(
            name=str(parent.hostname),
            queues=list(parent.app.amqp.queues.consume_from),
            taken=lambda: sum(state.total_count.values()),
            running=lambda: len(state.active_requests),
        )
        self._threads = [
            BackgroundThread("ticker", lambda stop: _tick(worker, stop)),
            BackgroundThread("replays", lambda stop: run_replays(_step_replays, stop)),
            BackgroundThread("alerts", lambda stop: current_container().alerts.run(stop)),
        ]
        if EVENTS in worker.queues and current_container().settings.outboxes:
            self._threads.append(BackgroundThread("outboxes", lambda stop: current_container().intakes.run(stop)))
        for thread in self._threads:
            thread.start()

    def stop(self, parent: Any) -> None:
        """Ends ticking; a tick under way is finished."""
        for thread in self._threads:
            thread.stop(STOP_S)

    terminate = stop


def _step_replays() -> StepResult:
    container = current_container()
    return job.step(container.storage, container.schedule, container.settings)


def _tick(worker: WorkerState, stop: threading.Event) -> None:
    container = current_container()
    parts = container.storage, container.schedule, container.queue, container.dispatch, container.heartbeat
    Ticks(worker, *parts, container.fan_out_runner, container.settings).run(stop)
