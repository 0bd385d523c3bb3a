"""Traces by OpenTelemetry: emit, fan-out and every attempt of a delivery, all retries too, in one trace.

    event.emit         of `emit` and of a POST of events: a child of the caller's span, or of the request's traceparent
    event.fan_out      one for each traced event of a batch
    delivery.attempt   one for each request; its own traceparent goes to the receiver

An event carries its trace in a column, so it outlives Redis and restarts. Spans hold ids and outcomes: no payload, no
header, no address. They go where OpenTelemetry's own variables say (`OTEL_EXPORTER_OTLP_ENDPOINT` and the like), or
to the provider that the emitting service has set up. Loaded only where DISPATCHER_TRACING is on.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.util.types import Attributes

from dispatcher.model.attempt import Result, Verdict
from dispatcher.model.delivery import Claimed, State
from dispatcher.version import VERSION

_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
"""W3C Trace Context, version 00; a later version may go on after it."""
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
        parent = parse_traceparent(traceparent) if traceparent else None
        attributes: Attributes = {"dispatcher.event_name": names[0] if names else "", "dispatcher.events": len(names)}
        with self._tracer.start_as_current_span("event.emit", parent, SpanKind.PRODUCER, attributes) as span:
            yield EmitTrace(span)

    def fan_out(self, traceparents: Mapping[int, str], deliveries: int, started_at: datetime) -> None:
        """A span for each traced event of a fan-out's transaction, which has ended now."""
        for event_id, traceparent in traceparents.items():
            attributes = {"dispatcher.event_id": event_id, "dispatcher.deliveries_of_batch": deliveries}
            self._tracer.start_span(
                "event.fan_out",
                parse_traceparent(traceparent),
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
    def traceparent(self) -> str:
        """What its events carry."""
        return format_traceparent(self._span)

    def stored(self, event_ids: Sequence[int]) -> None:
        """Its events are in."""
        self._span.set_attribute("dispatcher.event_ids", list(event_ids[:_EVENT_IDS_MAX]))


class Attempts:
    """The attempts of one drain; what it leaves unfinished is no span."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._spans: dict[int, Span] = {}

    def start(self, delivery: Claimed) -> list[tuple[str, str]]:
        """An attempt begins; returns the header for the receiver."""
        attributes: Attributes = {
            "dispatcher.event_id": delivery.event_id,
            "dispatcher.event_name": delivery.event_name,
            "dispatcher.delivery_id": delivery.id,
            "dispatcher.webhook_id": delivery.webhook_id,
            "dispatcher.idempotency_key": str(delivery.idempotency_key),
            "dispatcher.attempt": delivery.attempt_number,
        }
        span = self._tracer.start_span(
            "delivery.attempt", parse_traceparent(delivery.traceparent or ""), SpanKind.CLIENT, attributes
        )
        self._spans[delivery.id] = span
        return [("traceparent", format_traceparent(span))]

    def finish(self, delivery: Claimed, result: Result, verdict: Verdict) -> None:
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


def parse_traceparent(traceparent: str) -> Context | None:
    """The context that a traceparent names; None where it is none, which then begins a trace of its own."""
    match = _HEADER.match(traceparent)
    if match is None or match[1] == "ff" or (match[1] == "00" and match.end() != len(traceparent)):
        return None
    context = SpanContext(
        int(match[2], 16), int(match[3], 16), is_remote=True, trace_flags=TraceFlags(int(match[4], 16))
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context()) if context.is_valid else None


def format_traceparent(span: Span) -> str:
    """The span's context as a traceparent."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"


def _provider(exporter: SpanExporter | None) -> trace.TracerProvider:
    """The emitting service's own provider where it has one, else one of ours, which others do not see."""
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
