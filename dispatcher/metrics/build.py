"""Which build answers: the same family of `web` and of a worker's port."""

import platform

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from dispatcher.version import VERSION


def build_info() -> Metric:
    """Always 1; its labels tell the versions."""
    family = GaugeMetricFamily("dispatcher_build_info", "Versions of the running build.", labels=["version", "python"])
    family.add_metric([VERSION, platform.python_version()], 1)
    return family
