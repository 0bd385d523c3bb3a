"""The Celery app of the workers: `celery -A dispatcher.tasks worker`."""

import gc
import logging
import sys
import warnings
from typing import Any

from celery import Celery
from celery.concurrency.prefork import TaskPool
from celery.exceptions import CPendingDeprecationWarning
from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_init, worker_process_init, worker_ready

from dispatcher import log
from dispatcher.broker.config import configure
from dispatcher.current import current_container
from dispatcher.errors import DispatcherError, InvalidSetting
from dispatcher.pipeline.startup import check
from dispatcher.settings import read_settings
from dispatcher.tasks.ticker import Ticker

try:
    _settings = read_settings()
except InvalidSetting as error:
    sys.exit(f"error: {error}")  # one line instead of a traceback through Celery

# The warning against running as root is about pickled messages; ours are JSON only.
warnings.filterwarnings("ignore", category=SecurityWarning)
# Celery announces a new default for an option that we set ourselves, each time Redis drops.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)

app = Celery(
    "tasks",
    amqp="dispatcher.tasks.connection:Amqp",
    include=["dispatcher.tasks.events", "dispatcher.tasks.deliveries", "dispatcher.tasks.alerts"],
)
configure(app, _settings.broker_url)
app.conf.update(
    # A nudge that is lost costs time, never a delivery; leases in Postgres give the safety that acks would not.
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_send_task_events=True,  # for Flower
    worker_hijack_root_logger=False,
    worker_enable_remote_control=True,
)
app.steps["worker"].add(Ticker)


# Threads that have waited for Postgres or a receiver get the interpreter after half a millisecond instead of five:
# measured with 10,000 webhooks of one delivery each, a quarter more throughput.
sys.setswitchinterval(0.0005)
# A drain has thousands of objects in its hands and makes no cycles of them: walking them all the time finds nothing.
gc.set_threshold(50_000, 20, 20)


@setup_logging.connect
def _set_up_logging(**_: object) -> None:
    """Our own format instead of Celery's."""
    log.set_up(_settings.log_level, _settings.log_format)


@worker_init.connect
def _check(sender: Any = None, **_: object) -> None:
    """A worker that could only fail does not start."""
    container = current_container()
    container.task_events.hostname = str(sender.hostname)
    try:
        check(container.storage, container.schedule, container.event_types)
        container.close()  # a pool that forks must not share these connections
    except DispatcherError as error:
        logging.getLogger(__name__).critical(log.line("worker.refused", reason=error))
        raise SystemExit(1) from error


@worker_ready.connect
def _serve_metrics(sender: Any = None, **_: object) -> None:
    """The process that drains shows its metrics: this one, unless its pool forks."""
    if not isinstance(sender.pool, TaskPool):
        _serve_metrics_of_child()


@worker_process_init.connect
def _serve_metrics_of_child(**_: object) -> None:
    container = current_container()
    if container.worker_metrics is not None:
        settings, worker = container.settings, container.task_events.hostname
        container.worker_metrics.serve(worker, settings.metrics_host, settings.metrics_port)
