"""Receivers on a bad day: down, flapping, busy, resetting, dripping, redirecting, expired, or elsewhere."""

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from dispatcher.model.health import Health, WindowPolicy, after
from tests.faults.conftest import LAY_DOWN, bounded
from tests.faults.preload import Names
from tests.support.cluster import Cluster, posts_by_key
from tests.support.processes import resident_mb
from tests.support.receiver import Answer, Authority, Receiver
from tests.support.waiting import eventually, wait_until

BREAKER = {
    "DISPATCHER_BREAKER_PAUSE_S": "1",
    "DISPATCHER_BREAKER_PAUSE_MAX_S": "2",
    "DISPATCHER_RETRY_BASE_S": "2",
    "DISPATCHER_RETRY_LIMIT": "20",
}
WINDOW_MAX = 20


def test_a_receiver_that_is_down_gets_probes_only_and_its_backlog_once_it_is_back(
    cluster: Cluster, receiver: Receiver
) -> None:
    count, down_s = bounded(400, 5_000), bounded(3.5, 180)
    pause_s, longest_s = bounded(0.5, 10.0), bounded(1.0, 40.0)
    cluster.env |= BREAKER | {"DISPATCHER_WINDOW_MAX": str(WINDOW_MAX)}
    cluster.env |= {"DISPATCHER_BREAKER_PAUSE_S": str(pause_s), "DISPATCHER_BREAKER_PAUSE_MAX_S": str(longest_s)}
    cluster.webhook(receiver.script("/hook", Answer(status=500)))
    cluster.start_worker()
    cluster.emit(count)
    (*_, opened) = receiver.wait_for(10)
    eventually(lambda: time.monotonic() > opened.received_s + down_s, down_s + 5, "the receiver being down for long")
    receiver.script("/hook", Answer(delay_s=0.02))
    down = receiver.requests
    cluster.wait_until_delivered(count, 60 + count / 100)

    times = [request.received_s for request in down]
    for probe, (before_s, after_s) in enumerate(itertools.pairwise(times[9:])):  # nothing between two probes
        assert after_s - before_s > 0.75 * min(pause_s * 2**probe, longest_s)  # 20 % of jitter
    assert len(down) >= 12
    back = receiver.requests[len(down) :]
    for request, widest in zip(back, windows(WINDOW_MAX), strict=False):
        assert request.in_flight <= widest
    assert max(request.in_flight for request in back) > 1
    tried_again = sum(attempts > 1 for attempts, _ in cluster.counts())
    assert tried_again <= len(down)  # what waited has used up no try
    assert len(receiver.requests) == sum(attempts for attempts, _ in cluster.counts())


def windows(ceiling: int) -> Iterator[int]:
    """How many requests may be in flight after 1, 2, ... successes of a receiver that was down."""
    health = Health(window=1.0)
    while True:
        health = after(health, "200", 0.02, WindowPolicy(ceiling=ceiling))
        yield health.slots


def test_very_much_that_waits_for_a_dead_receiver_costs_nobody_anything(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= BREAKER
    count = bounded(50_000, 1_000_000)
    cluster.webhook(receiver.url("/well"))
    dead = cluster.webhook(receiver.script("/dead", Answer(status=500)), "inbox_file_removed_all")
    worker = cluster.start_worker()

    def p95_of(events: int) -> float:
        return sorted(answered_after_s(cluster, receiver) for _ in range(events))[round(events * 0.95) - 1]

    p95_of(20)
    memory_mb, redis_mb = resident_mb(worker.pid), redis_memory_mb(cluster)
    for _ in range(count // 50_000):
        cluster.rows(LAY_DOWN, account=cluster.account.id, webhook=dead, count=50_000)
    cluster.container.reconciler.reconcile()
    receiver.wait_for(20 + 13, 60)  # the failures that open its breaker, and a few probes

    assert p95_of(20) < 1.0
    assert resident_mb(worker.pid) < memory_mb * 1.2
    assert redis_memory_mb(cluster) < redis_mb + 1.0
    wait_until(cluster.states, lambda states: states == {"delivered": 40, "pending": count}, 10)
    status = cluster.start("dispatcher", "status", "--json")
    assert status.wait(10) == 0
    (shown,) = json.loads(status.output)["webhooks"]
    assert shown["webhook"]["webhook_id"] == dead
    assert shown["webhook"]["waiting"] == pytest.approx(count, rel=0.05)  # where there are many it is an estimate


def answered_after_s(cluster: Cluster, receiver: Receiver) -> float:
    """Seconds from an emit to its POST."""
    before = len(receiver.requests)
    began_s = time.monotonic()
    cluster.emit()

    def posted() -> list[float]:
        return [one.received_s for one in receiver.requests[before:] if one.path == "/well"]

    return eventually(posted, 20, "its POST")[0] - began_s


def redis_memory_mb(cluster: Cluster) -> float:
    with redis.Redis.from_url(cluster.valkey.url) as client:
        return float(client.info("memory")["used_memory"]) / 2**20


def test_another_webhook_of_the_same_account_does_not_notice(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= BREAKER
    cluster.webhook(receiver.script("/dead", Answer(status=500)))
    cluster.webhook(receiver.url("/well"))
    cluster.start_worker()
    cluster.emit(300)

    well = "select count(*) from dispatcher.deliveries d join dispatcher.webhooks w on w.id = d.webhook_id"
    well += " where d.state = 'delivered' and w.webhook_url like '%%/well'"
    eventually(lambda: cluster.rows(well) == [(300,)], 20, "300 deliveries to the one that is well")
    assert len([request for request in receiver.requests if request.path == "/dead"]) < 30


BAD_DAYS = {
    "/resets": (Answer(hang_up="before_head", reset=True), "connection_failed"),
    "/hangs-up": (Answer(hang_up="in_body"), "connection_failed"),
    "/drips": (Answer(body=b"x" * 400, drip_s=0.01), "timeout"),
    "/is-late": (Answer(delay_s=5.0), "timeout"),
    "/redirects": (Answer(status=302, headers=[("Location", "http://10.0.0.1/")]), "302"),
    "/speaks-no-http": (Answer(raw=b"\x00\x01 not HTTP\r\n\r\n"), "unknown_error"),
    "/is-busy": (Answer(status=429, headers=[("Retry-After", "1")]), "429"),
}
"""What a receiver answers at first, and what is said of it."""


def test_a_receiver_that_recovers_gets_each_delivery_once_more(cluster: Cluster, receiver: Receiver) -> None:
    for path, (answer, _) in BAD_DAYS.items():
        cluster.webhook(receiver.script(path, answer, Answer()))
    worker = cluster.start_worker()
    cluster.emit()
    cluster.wait_until_delivered(len(BAD_DAYS), 20)

    attempts: dict[str, list[str]] = {}
    for url, status in cluster.rows("select url, status from dispatcher.attempts order by number"):
        attempts.setdefault(url, []).append(status)
    assert attempts == {receiver.url(path): [status, "200"] for path, (_, status) in BAD_DAYS.items()}
    assert list(posts_by_key(receiver).values()) == [2] * len(BAD_DAYS)
    assert not worker.ended


def test_a_flapping_receiver_gets_everything_in_the_end(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= BREAKER | {"DISPATCHER_RETRY_BASE_S": "0.3", "DISPATCHER_RETRY_FACTOR": "1.2"}
    cluster.env |= {"DISPATCHER_BREAKER_PAUSE_S": "0.1", "DISPATCHER_BREAKER_PAUSE_MAX_S": "0.2"}
    flapping = [Answer()] * 30 + [Answer(status=503)] * 15
    cluster.webhook(receiver.script("/hook", *flapping * 4, Answer()))
    cluster.start_worker()
    cluster.emit(200)

    cluster.wait_until_delivered(200, 60)
    assert len(posts_by_key(receiver)) == 200


def planned(cluster: Cluster, webhook: int) -> list[tuple[str, int, bool]]:
    """State and tries of the webhook's deliveries that are not delivered, and whether the next one keeps to `LATER`."""
    sql = (
        "select state, attempt_count, next_attempt_at - clock_timestamp() between '450 s' and '720 s'"
        " from dispatcher.deliveries"
    )
    return [
        (row[0], row[1], row[2])
        for row in cluster.rows(f"{sql} where webhook_id = %(id)s and state <> 'delivered'", id=webhook)
    ]


LATER: Any = {"DISPATCHER_RETRY_BASE_S": "600"}


def test_an_expired_certificate_is_a_failure_like_others(cluster: Cluster) -> None:
    authority = Authority()
    (cluster.folder / "certifi.py").write_text(f"def where():\n    return {authority.write_ca(cluster.folder)!r}\n")
    with Receiver(tls=authority.tls("expired")) as expired, Receiver(tls=authority.tls()) as valid:
        webhook = cluster.webhook(expired.url("/hook"))
        cluster.webhook(valid.url("/hook"))
        worker = cluster.start_worker(PYTHONPATH=str(cluster.folder), **LATER)
        cluster.emit()
        wait_until(cluster.attempts, lambda attempts: len(attempts) == 2, 10)

        assert sorted(cluster.attempts()) == [("200", None), ("ssl_error", "the receiver's certificate is not valid")]
        assert planned(cluster, webhook) == [("pending", 1, True)]
        assert expired.requests == []
        assert len(valid.requests) == 1
        assert not worker.ended


def test_a_name_that_comes_to_lead_inside_is_not_followed(cluster: Cluster, receiver: Receiver) -> None:
    names = Names(cluster.folder / "hosts")
    for name in ("rebind.test", "well.test"):
        names.lead(name, "127.0.0.1")
    cluster.env |= LATER | names.env | {"DISPATCHER_ALLOWED_NETWORKS": "127.0.0.1/32"}
    with Receiver(host="0.0.0.0") as everywhere:
        everywhere.script("/hook", Answer(close=True))
        webhook = cluster.webhook(everywhere.url("/hook", host="rebind.test"))
        cluster.webhook(receiver.url("/hook", host="well.test"))
        worker = cluster.start_worker(DISPATCHER_SENDER="requests")
        cluster.emit()
        cluster.wait_until_delivered(2)

        names.lead("rebind.test", "127.0.0.2")
        cluster.emit()
        wait_until(cluster.attempts, lambda attempts: len(attempts) == 4, 10)
        assert not worker.ended
        worker.kill()
        worker = cluster.start_worker(DISPATCHER_SENDER="curl")  # remembers for a minute where a name once led
        cluster.emit()
        wait_until(cluster.attempts, lambda attempts: len(attempts) == 6, 10)

        assert Counter(status for status, _ in cluster.attempts()) == {"200": 4, "blocked_address": 2}
        assert planned(cluster, webhook) == [("pending", 1, True)] * 2
        assert everywhere.connections == 1
        assert len(receiver.requests) == 3
        assert not worker.ended
