"""What one worker process knows of itself, for Prometheus, on a port of its own.

Of a machine's processes (several workers, the children of a prefork pool) each takes the first port that is free from
the setting's on; Prometheus scrapes the whole range. What is right for all of them together is in /metrics of `web`.
"""

import logging
import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, start_http_server
from prometheus_client.metrics_core import Metric

from dispatcher import log
from dispatcher.metrics.families import build_info

logger = logging.getLogger(__name__)

PORTS = 50
"""Ports to try."""
_DRAIN_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
_FLUSH_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0)
_SIZES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class WorkerMetrics:
    """This process's metrics. `in_flight` and `drains` are called at each scrape."""

    def __init__(self, in_flight: Callable[[], int], drains: Callable[[], int], sender: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._drain_s = self._histogram("drain_seconds", "Duration of a drain in seconds.", _DRAIN_S)
        self._drain_size = self._histogram("drain_deliveries", "Deliveries attempted by a drain.", _SIZES)
        self._flush_s = self._histogram("flush_seconds", "Seconds that Postgres took to record results.", _FLUSH_S)
        self._flush_size = self._histogram("flush_results", "Results recorded in one transaction.", _SIZES)
        self._gauge("requests_in_flight", "Requests in flight.", in_flight)
        self._gauge("drains_running", "Running drains, except those that only wait for slow responses.", drains)
        self._info = Gauge(
            "dispatcher_worker_info",
            "Name, process and sender of the worker.",
            ["worker", "process", "sender"],
            registry=self.registry,
        )
        self._sender = sender
        self.registry.register(_BuildInfo())

    def observe_drain(self, deliveries: int, took_s: float) -> None:
        """A drain is done, or has left its stragglers."""
        self._drain_size.observe(deliveries)
        self._drain_s.observe(took_s)

    def observe_flush(self, results: int, took_s: float) -> None:
        """Results were recorded."""
        self._flush_size.observe(results)
        self._flush_s.observe(took_s)

    def serve(self, worker: str, host: str, port: int) -> int | None:
        """Answers on the first free port of `port` and those after it; returns it, None where all are taken."""
        self._info.labels(worker, str(os.getpid()), self._sender).set(1)
        for candidate in range(port, port + PORTS):
            try:
                start_http_server(candidate, host, self.registry)
            except OSError:
                continue
            logger.info(log.line("worker.metrics", worker=worker, host=host, port=candidate))
            return candidate
        logger.error(log.line("worker.metrics_failed", worker=worker, reason=f"no free port in {PORTS} from {port} on"))
        return None

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"dispatcher_worker_{name}", text, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, text: str, read: Callable[[], int]) -> None:
        Gauge(f"dispatcher_worker_{name}", text, registry=self.registry).set_function(read)


class _BuildInfo:
    def collect(self) -> list[Metric]:
        return [build_info()]
