"""The dashboard and the alerts ask for metrics that exist, and each alert has its page."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from dispatcher.metrics.worker import WorkerMetrics
from dispatcher.model.health import Health
from dispatcher.storage.outboxes import registry
from tests.integration.metrics.conftest import samples_of
from tests.support.places import ROOT

ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
_LABELS = re.compile(r"\{[^}]*\}")
_STRINGS = re.compile(r"\"[^\"]*\"")
_GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_WORDS = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()\b(?!\s*\()")
_OPERATORS = {"and", "or", "unless", "bool", "offset", "m", "h", "s", "d"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def names_in(expression: str) -> set[str]:
    """The metrics of a PromQL expression."""
    bare = _GROUPING.sub(" ", _STRINGS.sub(" ", _LABELS.sub(" ", re.sub(r"\[[^\]]*\]", " ", expression))))
    return set(_WORDS.findall(bare)) - _OPERATORS


@pytest.fixture
def existing(container: Any, queue: Any, account: Any, webhook: Any, scraped: Any) -> set[str]:
    """Names that a scrape of `web` and one of a worker tell."""
    container.schedule.store_healths({webhook.id: Health(window=10.0)})
    container.storage.transact(
        lambda c: c.exec_driver_sql(
            "insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key)"
            f" values (1, 1, {webhook.id}, gen_random_uuid())"
        )
    )
    container.storage.autocommit(registry.claim, ["orders"], 1, 60.0)
    worker = WorkerMetrics(lambda: 0, lambda: 0, sender="curl")
    return {name for name, _ in scraped()} | {name for name, _ in samples_of(generate_latest(worker.registry).decode())}


def test_names_are_found_in_promql() -> None:
    found = names_in(
        '1 - sum(rate(a_total{x="b_total"}[5m])) by (c) / clamp_min(sum by (le) (d_bucket), 0.1) > 3 and e'
    )

    assert found == {"a_total", "d_bucket", "e"}


def test_every_metric_is_asked_for_and_on_its_page_and_no_other(existing: set[str]) -> None:
    asked = {name: expression for expression in expressions() for name in names_in(expression)}
    told, used = (
        {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in names if name.startswith("dispatcher_")}
        for names in (existing, asked)
    )
    page = (ROOT / "docs/reference/metrics.md").read_text()

    assert len(asked) > 25
    assert {name: asked[name] for name in asked.keys() - existing} == {}
    assert told - used <= {"dispatcher_backlog_is_exact", "dispatcher_worker_info"}
    assert set(re.findall(r"^\| `(dispatcher_\w+)`", page, re.MULTILINE)) == told | {"dispatcher_worker_info"}


def test_each_alert_names_its_page_in_the_runbook() -> None:
    for rule in rules():
        path, _, anchor = rule["annotations"]["runbook"].partition("#")

        assert anchor == re.sub(r"(?<!^)(?=[A-Z])", "-", rule["alert"]).lower(), rule["alert"]
        assert f"\n## {anchor}\n" in (ROOT / Path(path)).read_text(), rule["alert"]


def test_the_example_of_prometheus_loads_the_alerts() -> None:
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())

    assert prometheus["rule_files"] == ["alerts.yml"]
    assert [job["job_name"] for job in prometheus["scrape_configs"]] == ["dispatcher-web", "dispatcher-workers"]
