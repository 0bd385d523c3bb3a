import importlib
import logging
from collections.abc import Iterator
from logging import LogRecord
from types import ModuleType
from typing import Any

import pytest

from dispatcher.settings import BrokerSettings


@pytest.fixture
def flower(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    monkeypatch.setattr("dispatcher.log.set_up", lambda *_: None)  # for this process's other tests
    logger = logging.getLogger("flower.inspector")
    module = importlib.import_module("dispatcher.tasks.flower")
    yield module
    logger.removeFilter(module.is_news)


def record(text: str, *arguments: Any) -> LogRecord:
    return logging.LogRecord("flower.inspector", logging.WARNING, __file__, 1, text, arguments, None)


def test_that_no_worker_answers_flower_is_news_only_later(flower: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    silence = record("Inspect method %s failed", "stats")
    assert not flower.is_news(silence)

    monkeypatch.setattr("dispatcher.tasks.flower.STARTING_S", -1.0)
    assert flower.is_news(silence)


def test_whatever_else_flower_says_of_workers_is_news(flower: ModuleType) -> None:
    assert flower.is_news(record("Inspect method %s failed: %s", "stats", "refused"))
    assert flower.is_news(record("Worker inspection failed: %s", "x"))


def test_it_knows_the_queues_and_nothing_but_the_broker(flower: ModuleType) -> None:
    assert [queue.name for queue in flower.app.conf.task_queues] == ["events", "deliveries", "deliveries.slow"]
    assert set(BrokerSettings.__dataclass_fields__) == {"broker_url", "log_level", "log_format"}
