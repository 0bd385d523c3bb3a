"""A scrape as `web` would answer it, and its samples."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dispatcher.container import Container
from dispatcher.metrics.scrape import scrape


def samples_of(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, labels in their order) → value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def read(container: Container) -> Callable[..., float]:
    """The value of one sample: `read("dispatcher_attempts_total", outcome="2xx")`."""

    def value(name: str, **labels: str) -> float:
        container.counters.send()
        return samples_of(text(container)).get((name, tuple(sorted(labels.items()))), 0.0)

    return value


def text(container: Container) -> str:
    window, breaker = container.drain_policy.window, container.drain_policy.breaker
    return scrape(
        container.storage, container.schedule, container.queue, container.counters, window=window, breaker=breaker
    ).decode()


@pytest.fixture
def scraped(container: Container) -> Callable[[], dict[Any, float]]:
    return lambda: samples_of(text(container))
