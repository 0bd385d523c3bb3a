"""Traces by OpenTelemetry: emit, fan-out and every attempt of a delivery, all retries too, in one trace.

    event.emit         of `emit` and of a POST of events: a child of the caller's span, or of the request's traceparent
    event.fan_out      one for each traced event of a batch
    delivery.attempt   one for each request; its own traceparent goes to the receiver

An event carries its trace in a column, so it outlives Redis and restarts. Spans hold ids and outcomes: no payload, no
header, no address. They go where OpenTelemetry's own variables say (`OTEL_EXPORTER_OTLP_ENDPOINT` and the like), or
to the provider that the emitting service has set up. Loaded only where DISPATCHER_TRACING is on.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

from dispatcher.model.attempt import Result, Verdict
from dispatcher.model.delivery import ClaimedDelivery, State
from dispatcher.version import VERSION

_w3c = TraceContextTextMapPropagator()
_EVENT_IDS_MAX = 10
"""An emit's span names this many of its events at most."""


class Tracing:
    """The tracer of one process. `exporter` takes the place of OTLP over HTTP; for tests."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        self._provider = _provider(exporter)
        self._tracer = self._provider.get_tracer("dispatcher", VERSION)

    @contextmanager
    def emit(self, names: Sequence[str], traceparent: str | None = None) -> Iterator["EmitTrace"]:
        """The span of an emit, below `traceparent` (a header as received) or else below the caller's current span."""
        parent = _parent(traceparent, get_current())
        attributes: Attributes = {"dispatcher.event_name": names[0] if names else "", "dispatcher.events": len(names)}
        with self._tracer.start_as_current_span("event.emit", parent, SpanKind.PRODUCER, attributes) as span:
            yield EmitTrace(span)

    def fan_out(self, traceparents: Mapping[int, str], deliveries: int, started_at: datetime) -> None:
        """A span for each traced event of a fan-out's transaction, which has ended now."""
        for event_id, traceparent in traceparents.items():
            attributes = {"dispatcher.event_id": event_id, "dispatcher.deliveries_of_batch": deliveries}
            self._tracer.start_span(
                "event.fan_out",
                _parent(traceparent),
                SpanKind.CONSUMER,
                attributes,
                start_time=int(started_at.timestamp() * 1_000_000_000),
            ).end()

    def attempts(self) -> "Attempts":
        """For one drain."""
        return Attempts(self._tracer)

    def close(self) -> None:
        """Sends what is left, where the provider is ours."""
        if isinstance(self._provider, TracerProvider):
            self._provider.force_flush(5_000)


class EmitTrace:
    """An emit under way."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        """What its events carry."""
        return _headers(self._span).get("traceparent")

    def stored(self, event_ids: Sequence[int]) -> None:
        """Its events are in."""
        self._span.set_attribute("dispatcher.event_ids", list(event_ids[:_EVENT_IDS_MAX]))


class Attempts:
    """The attempts of one drain; what it leaves unfinished is no span."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._spans: dict[int, Span] = {}

    def start(self, delivery: ClaimedDelivery) -> list[tuple[str, str]]:
        """An attempt begins; returns the header for the receiver."""
        attributes: Attributes = {
            "dispatcher.event_id": delivery.event_id,
            "dispatcher.event_name": delivery.event_name,
            "dispatcher.delivery_id": delivery.id,
            "dispatcher.webhook_id": delivery.webhook_id,
            "dispatcher.idempotency_key": str(delivery.idempotency_key),
            "dispatcher.attempt": delivery.attempt_number,
        }
        parent = _parent(delivery.traceparent)
        span = self._spans[delivery.id] = self._tracer.start_span(
            "delivery.attempt", parent, SpanKind.CLIENT, attributes
        )
        return list(_headers(span).items())

    def finish(self, delivery: ClaimedDelivery, result: Result, verdict: Verdict) -> None:
        """The attempt is over; one that never began, because nothing could be sent, has no span."""
        span = self._spans.pop(delivery.id, None)
        if span is None:
            return
        span.set_attribute("dispatcher.result", str(result.status))
        span.set_attribute("dispatcher.state", verdict.state.value)
        if result.status.isdigit():
            span.set_attribute("http.response.status_code", int(result.status))
        if verdict.state is not State.DELIVERED:
            span.set_status(StatusCode.ERROR, str(result.status))
        span.end()


def _parent(traceparent: str | None, otherwise: Context | None = None) -> Context:
    """The context that a traceparent names; `otherwise`, by default that of a new trace, where it names none."""
    return _w3c.extract({"traceparent": traceparent or ""}, otherwise)


def _headers(span: Span) -> dict[str, str]:
    headers: dict[str, str] = {}
    _w3c.inject(headers, trace.set_span_in_context(span))
    return headers


def _provider(exporter: SpanExporter | None) -> trace.TracerProvider:
    """The emitting service's provider where it has one, else a private one."""
    set_up = trace.get_tracer_provider()
    if exporter is None and isinstance(set_up, TracerProvider):
        return set_up
    if exporter is None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 -- only where traces are exported

        exporter = OTLPSpanExporter()
    resource = Resource({SERVICE_NAME: "webhook-dispatcher"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
