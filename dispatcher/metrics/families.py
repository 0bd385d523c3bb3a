"""How a family of Prometheus samples is built from numbers, and the one that all processes show."""

import platform
from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from dispatcher.version import VERSION


def gauge(name: str, text: str, value: float | None) -> Metric:
    """A gauge without labels; None is 0."""
    return GaugeMetricFamily(f"dispatcher_{name}", text, value=max(0.0, float(value or 0)))


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """A gauge with one label: its value → the number."""
    family = GaugeMetricFamily(f"dispatcher_{name}", text, labels=[label])
    for label_value, value in values.items():
        family.add_metric([label_value], max(0.0, value))
    return family


def counter(name: str, text: str, value: int) -> Metric:
    """A counter without labels."""
    return CounterMetricFamily(f"dispatcher_{name}", text, value=value)


def counters(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    """A counter with one label: its value → the number."""
    family = CounterMetricFamily(f"dispatcher_{name}", text, labels=[label])
    for label_value, value in values.items():
        family.add_metric([label_value], value)
    return family


def build_info() -> Metric:
    """Always 1; its labels are the versions."""
    family = GaugeMetricFamily("dispatcher_build_info", "Versions of the running build.", labels=["version", "python"])
    family.add_metric([VERSION, platform.python_version()], 1)
    return family
