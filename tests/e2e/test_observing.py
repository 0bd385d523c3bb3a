"""One delivery, followed through real processes: in the logs by its Idempotency-Key, in a trace, in their figures."""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.api import Api, Server, free_port, running
from tests.support.cluster import Cluster
from tests.support.processes import Program, clean_environment
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                request = ExportTraceServiceRequest.FromString(body)
                spans.extend(span for of in request.resource_spans for scope in of.scope_spans for span in scope.spans)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def serving(cluster: Cluster) -> Iterator[Callable[..., Server]]:
    """`serving(NAME="value")` starts the API on the cluster's servers."""
    with ExitStack() as stack:
        yield lambda **env: stack.enter_context(running(cluster.container, cluster.folder, **env))


def lines(program: Program | Server) -> list[dict[str, Any]]:
    """Every line of a process is an object."""
    return [json.loads(line) for line in program.output.splitlines()]


def test_a_delivery_is_followed_by_its_key_by_its_trace_and_in_figures(
    cluster: Cluster, receiver: Receiver, collector: Collector, serving: Callable[..., Server]
) -> None:
    metrics_port = free_port()
    told: Any = {
        "DISPATCHER_LOG_FORMAT": "json",
        "DISPATCHER_LOG_LEVEL": "debug",
        "DISPATCHER_TRACING": "1",
        "DISPATCHER_METRICS_PORT": str(metrics_port),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    web = serving(DISPATCHER_WEB_WORKERS="1", **told)
    worker = cluster.start_worker(**told)
    hook = cluster.webhook(receiver.url("/hook"), "inbox_file_removed_all")
    receiver.script("/hook", Answer(status=503, body=b"not-for-logs"), Answer())
    api = Api.of(web, cluster.container, cluster.account)
    event = api.post(
        "/events.json",
        json={"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 314159}}},
        headers={"traceparent": f"00-{TRACE}-{SPAN}-01"},
    ).json()
    first, second = receiver.wait_for(2)
    cluster.wait_until_delivered(1)
    key = first.header("Idempotency-Key")

    # The logs: what was emitted, what was made of it, and both attempts.
    def story() -> list[dict[str, Any]]:
        found = [line for line in lines(worker) if line.get("key") == key]
        return found if len(found) >= 3 else []

    steps = eventually(story, 10, "three lines about the key")
    assert [(step["event"], step.get("attempt"), step.get("result")) for step in steps] == [
        ("delivery.created", None, None),
        ("delivery.attempted", 1, "503"),
        ("delivery.attempted", 2, "200"),
    ]
    assert {(step["event_id"], step["webhook_id"]) for step in steps} == {(event["id"], hook)}
    assert [line for line in lines(web) if line["event"] == "event.recorded" and line["event_id"] == event["id"]]

    # The trace: the caller's, through both processes, on to the receiver.
    names = ["delivery.attempt", "delivery.attempt", "event.emit", "event.fan_out"]
    eventually(lambda: sorted(span.name for span in collector.spans) == names, 15, "four spans")
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    (emitted,) = [span for span in collector.spans if span.name == "event.emit"]
    assert emitted.parent_span_id.hex() == SPAN
    sent = [str(request.header("traceparent")) for request in (first, second)]
    attempts = [span.span_id.hex() for span in collector.spans if span.name == "delivery.attempt"]
    assert sorted(sent) == sorted(f"00-{TRACE}-{id_}-01" for id_ in attempts)

    # Figures: the worker's own, and those of all.
    container = requests.get(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10).text
    assert "dispatcher_worker_flush_seconds_count" in container
    assert "dispatcher_worker_requests_in_flight 0.0" in container
    assert 'dispatcher_worker_info{process="' in container
    of_all = f"{web.url}/metrics"
    delivered = 'dispatcher_deliveries_finished_total{state="delivered"} 1.0'
    eventually(lambda: delivered in requests.get(of_all, timeout=10).text, 10, "the worker's sum")

    for told_of in (worker.output, web.output, container, str(collector.spans)):
        for secret in ("314159", "not-for-logs", "whsec_", receiver.url("/hook"), str(api.token)):
            assert secret not in told_of


def test_what_is_not_switched_on_is_not_loaded(cluster: Cluster) -> None:
    code = "import sys, dispatcher.tasks.deliveries; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment() | cluster.env, capture_output=True, text=True, check=True
    )

    assert "celery" in done.stdout.split()
    # redis-py itself loads a part of OpenTelemetry where that is installed; the exporter and our tracer are not.
    switched = {
        "dispatcher.tracing",
        "opentelemetry.exporter",
        "dispatcher.metrics.worker",
        "prometheus_client",
        "flask",
    }
    assert not switched & set(done.stdout.split())
