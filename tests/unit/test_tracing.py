"""Spans, as an exporter in memory sees them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dispatcher.model.attempt import Verdict
from dispatcher.model.delivery import State
from dispatcher.tracing import Tracing
from tests.support.builders import KEY, a_claimed, a_result
from tests.support.cases import each

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
INCOMING = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Iterator[Tracing]:
    made = Tracing(exporter)
    yield made
    made.close()


def spans(tracing: Tracing, exporter: InMemorySpanExporter) -> dict[str, Any]:
    tracing.close()
    return {span.name: span for span in exporter.get_finished_spans()}


def test_emit_fan_out_and_attempt_are_one_trace(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    with tracing.emit(["invoice_paid"], INCOMING) as emit:
        emit.stored([11])
        assert emit.traceparent is not None
    tracing.fan_out({11: emit.traceparent}, 3, datetime.now(UTC))
    attempts, claimed = tracing.attempts(), a_claimed(event_id=11, traceparent=emit.traceparent)
    ((name, sent),) = attempts.start(claimed)
    attempts.finish(claimed, a_result("503"), Verdict(state=State.PENDING))

    found = spans(tracing, exporter)
    assert set(found) == {"event.emit", "event.fan_out", "delivery.attempt"}
    assert {f"{span.context.trace_id:032x}" for span in found.values()} == {TRACE}
    emitted = found["event.emit"].context.span_id
    assert found["event.fan_out"].parent.span_id == found["delivery.attempt"].parent.span_id == emitted
    assert (name, sent) == ("traceparent", f"00-{TRACE}-{found['delivery.attempt'].context.span_id:016x}-01")
    told = found["delivery.attempt"].attributes
    assert told["dispatcher.idempotency_key"] == str(KEY)
    assert (told["http.response.status_code"], told["dispatcher.state"]) == (503, "pending")
    assert not found["delivery.attempt"].status.is_ok


def test_an_emit_belongs_to_the_callers_current_span(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    with tracing._tracer.start_as_current_span("of the service") as current, tracing.emit(["invoice_paid"]):
        pass

    assert spans(tracing, exporter)["event.emit"].parent.span_id == current.get_span_context().span_id


def test_what_is_not_sampled_is_handed_on_and_not_exported(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    with tracing.emit(["invoice_paid"], INCOMING[:-2] + "00") as emit:
        assert emit.traceparent is not None
        assert emit.traceparent.startswith(f"00-{TRACE}-")
        assert emit.traceparent.endswith("-00")

    assert spans(tracing, exporter) == {}


def test_spans_hold_no_payload_address_or_secret(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    claimed = a_claimed(traceparent=INCOMING)
    attempts = tracing.attempts()
    attempts.start(claimed)
    attempts.finish(claimed, a_result("200", body=b"thanks"), Verdict(state=State.DELIVERED))

    text = str(spans(tracing, exporter)["delivery.attempt"].to_json())
    assert "2024-0056" not in text
    assert "thanks" not in text
    assert "http" + "s://" not in text


@each(
    "text",
    ["", "x", INCOMING[:-1], INCOMING + "-more", INCOMING.replace("00-", "ff-", 1), f"00-{'0' * 32}-{'1' * 16}-01"],
)
def test_what_is_no_traceparent_begins_a_trace(tracing: Tracing, text: str) -> None:
    ((_, sent),) = tracing.attempts().start(a_claimed(traceparent=text))

    assert TRACE not in sent


def test_a_later_version_may_go_on(tracing: Tracing) -> None:
    ((_, sent),) = tracing.attempts().start(a_claimed(traceparent=f"01{INCOMING[2:]}-more"))

    assert TRACE in sent
