"""/healthz, /readyz and /metrics: what they say when all is well, and when a part is missing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests

from dispatcher.container import Container
from dispatcher.web.app import create_app
from tests.support.api import Api, Server
from tests.support.builders import a_webhook
from tests.support.waiting import eventually


@pytest.fixture
def call(server: Any) -> Any:
    return lambda path, at=server: requests.get(f"{at.url}{path}", timeout=30)


@pytest.fixture
def a_worker_lives(container: Any) -> None:
    container.schedule.workers.seen("worker1@test")


def test_a_process_that_answers_is_healthy(call: Any) -> None:
    answer = call("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_the_event_loop_says_of_its_health_what_the_route_would(
    call: Any, server: Server, container: Container
) -> None:
    quick, route = call("/healthz"), create_app(container).test_client().get("/healthz")

    assert (quick.status_code, quick.content) == (route.status_code, route.data)
    assert all(quick.headers[name] == value for name, value in route.headers)
    head = requests.head(f"{server.url}/healthz", timeout=30)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(quick.content)), b"")


def test_with_everything_there_it_is_ready(call: Any, a_worker_lives: None) -> None:
    answer = call("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "problems": {}})


def test_without_a_worker_it_is_not_ready(call: Any, container: Container) -> None:
    container.schedule._redis.delete("dispatcher:workers")

    answer = call("/readyz")
    assert answer.status_code == 503
    assert list(answer.json()["problems"]) == ["workers"]


def test_without_postgres_and_redis_it_lives_and_says_what_is_missing(call: Any, serve: Callable[..., Server]) -> None:
    # Its own token check finds Postgres down, so it answers before it is asked for anything else.
    server = serve(
        DATABASE_URL="postgresql://nobody:hidden@127.0.0.1:9/none", REDIS_URL="redis://:hidden@127.0.0.1:9/0"
    )

    ready = call("/readyz", server)
    assert ready.status_code == 503
    assert ready.json()["problems"] == {"postgres": "is not responding", "redis": "is not responding"}
    assert call("/healthz", server).status_code == 200
    metrics = call("/metrics", server)
    assert metrics.status_code == 200
    assert 'dispatcher_up{part="postgres"} 0.0' in metrics.text
    assert 'dispatcher_up{part="redis"} 0.0' in metrics.text
    for answer in (ready, metrics):
        assert not {"hidden", "nobody", "127.0.0.1"} & set(answer.text.replace(":", " ").split())


def test_a_database_without_migrations_is_not_ready(container: Container, empty_database_url: str) -> None:
    fresh = Container(replace(container.settings, database_url=empty_database_url))

    problems = create_app(fresh).test_client().get("/readyz").get_json()["problems"]
    fresh.close()

    assert problems["postgres"] == "has pending migrations; run: dispatcher migrate"


def test_the_metrics_are_read_from_the_rows(call: Any, api: Api, a_worker_lives: None) -> None:
    hook = a_webhook(api.container.storage, api.account, client_id=api.client.id)
    api.sql(
        "insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, next_attempt_at)"
        " select nextval('dispatcher.delivery_id'), n, %(hook)s, gen_random_uuid(), now() - interval '1 h'"
        " from generate_series(1, 3) n",
        hook=hook.id,
    )
    api.post("/events.json", json={"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 1}}})

    text = eventually(lambda: call("/metrics").text)
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert call("/metrics").headers["Content-Type"].startswith("text/plain; version=")
    assert float(figures['dispatcher_deliveries_due{queue="deliveries"}']) >= 3
    assert float(figures['dispatcher_deliveries_due_oldest_seconds{queue="deliveries"}']) >= 3_600
    assert float(figures["dispatcher_events_pending"]) >= 1
    assert float(figures["dispatcher_workers"]) >= 1
    assert float(figures['dispatcher_queue_messages{queue="events"}']) >= 0
    assert float(figures['dispatcher_schedule_webhooks{set="held"}']) >= 0
    assert float(figures['dispatcher_up{part="broker"}']) == 1
    name = f'dispatcher_webhook_deliveries_pending{{account="{api.account.slug}",webhook_id="{hook.id}"}}'
    assert float(figures[name]) == 3
