"""What nobody expects: a clock that jumps, a disk that is full, a payload that cannot be made."""

import itertools
import signal
import time
from collections import Counter

import pytest

from dispatcher.errors import StorageUnavailable
from dispatcher.webhooks.edit import create_webhook
from tests.faults.conftest import bounded
from tests.faults.preload import Clock
from tests.support.cluster import SLUG, Cluster, posts_by_key
from tests.support.receiver import Answer, Received, Receiver
from tests.support.servers import execute
from tests.support.waiting import eventually, wait_until

HOUR_S = 3_600


def hours_fast(request: Received) -> int:
    """By how many hours the clock was fast of the worker that has sent it."""
    return round((int(request.header("webhook-timestamp") or 0) - time.time()) / HOUR_S)


def key_of(request: Received) -> str:
    return request.header("Idempotency-Key") or ""


def retries(receiver: Receiver) -> list[tuple[Received, Received]]:
    """Each request that failed, and the next one of its delivery."""
    requests = sorted(receiver.requests, key=key_of)  # and by arrival
    return [(one, two) for one, two in itertools.pairwise(requests) if key_of(one) == key_of(two)]


def test_a_worker_whose_clock_jumps_sends_everything_once_and_in_time(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= {"DISPATCHER_RETRY_BASE_S": "0.5", "DISPATCHER_RETRY_FACTOR": "1", "DISPATCHER_RETRY_LIMIT": "50"}
    cluster.env |= {"DISPATCHER_DRAIN_CHUNK": "1"}  # each of the workers gets some of the webhooks
    clock = Clock(cluster.folder / "clock")
    for number in range(10):
        cluster.webhook(receiver.url(f"/{number}"))
    workers = [cluster.start_worker(ready=True, pool="threads", **clock.env), cluster.start_worker()]

    emitted = 0
    for hours in (0, 1, -1, 0) * bounded(1, 5):
        for number in range(10):
            receiver.script(f"/{number}", *[Answer(status=503), *[Answer()] * 4] * 100)
        clock.jump(hours)
        jumped_s = time.monotonic()
        while not any(hours_fast(one) == hours for one, _ in retries(receiver) if one.received_s > jumped_s):
            assert time.monotonic() < jumped_s + 30, f"no retry by a worker that is {hours} h fast"
            before = len(receiver.requests)
            cluster.emit()
            emitted += 1
            receiver.wait_for(before + 10)
            assert farthest_due_s(cluster) < 60
    cluster.wait_until_delivered(emitted * 10)

    for one, two in retries(receiver):
        assert 0.375 < two.received_s - one.received_s < 15
    counts = cluster.counts()
    assert {lost for _, lost in counts} == {0}
    assert len(receiver.requests) == sum(attempts for attempts, _ in counts)
    assert [status for status, _ in cluster.attempts()].count("200") == emitted * 10
    assert cluster.rows(
        "select count(*) from dispatcher.attempts where started_at not between now() - interval '50 min' and now()"
    ) == [(0,)]
    assert not any(worker.ended for worker in workers)
    workers[0].send(signal.SIGTERM)  # which also takes away what libfaketime keeps in shared memory
    assert workers[0].wait(15) == 0


def farthest_due_s(cluster: Cluster) -> float:
    """Seconds between now and the due time, past or to come, that is farthest from it."""
    sql = "select max(abs(extract(epoch from next_attempt_at - clock_timestamp()))) from dispatcher.deliveries_waiting"
    return float(cluster.rows(sql)[0][0] or 0)


FULL = """
create function full_disk() returns trigger language plpgsql as $$
begin
    raise exception 'could not extend file: No space left on device' using errcode = '53100';
end $$;
create trigger full_disk before insert on dispatcher.{table} for each row execute function full_disk()
"""
FREED = "drop function full_disk cascade"


def database_of(cluster: Cluster) -> str:
    return cluster.env["DATABASE_URL"]


@pytest.mark.parametrize("longer_than_a_lease", [False, True])
def test_results_that_a_full_disk_does_not_take_are_stored_later(
    cluster: Cluster, receiver: Receiver, longer_than_a_lease: bool
) -> None:
    if longer_than_a_lease:
        cluster.env |= {"DISPATCHER_TIMEOUT_S": "1", "DISPATCHER_LEASE_S": "2", "DISPATCHER_HOLD_S": "1"}
    else:
        cluster.env |= {"DISPATCHER_LEASE_S": "30"}
    count = bounded(40, 400)
    cluster.webhook(receiver.url("/hook"))
    workers = [cluster.start_worker(), cluster.start_worker()]

    execute(database_of(cluster), FULL.format(table="attempts"))
    cluster.emit(count)
    receiver.wait_for(5)
    # What is lost is an attempt as well, so that nothing is claimed again while there is no room for that. At the
    # second such claim the drain has given up that could not record.
    word, times = ("drain.claim_failed", 2) if longer_than_a_lease else ("drain.record_failed", 1)
    eventually(lambda: sum(one.output.count(word) for one in workers) >= times, 15, word)
    assert any("No space left on device" in one.output for one in workers)
    wait_until(cluster.states, lambda states: states == {"pending": count}, 15)
    execute(database_of(cluster), FREED)
    cluster.wait_until_delivered(count, 60)

    assert len(posts_by_key(receiver)) == count
    losses = sum(lost for _, lost in cluster.counts())
    assert len(receiver.requests) - count <= losses
    assert (losses > 0) is longer_than_a_lease
    assert not any(worker.ended for worker in workers)


def test_an_event_that_a_full_disk_does_not_take_is_refused_with_the_reason(
    cluster: Cluster, receiver: Receiver
) -> None:
    cluster.webhook(receiver.url("/hook"))
    worker = cluster.start_worker()

    execute(database_of(cluster), FULL.format(table="events"))
    for count in (1, 500):  # few and many are stored by different statements
        with pytest.raises(StorageUnavailable, match="No space left on device"):
            cluster.emit(count)
    assert cluster.rows("select count(*) from dispatcher.events") == [(0,)]
    assert cluster.states() == {}
    execute(database_of(cluster), FREED)
    cluster.emit(3)
    cluster.wait_until_delivered(3)

    assert len(receiver.requests) == 3
    assert not worker.ended


# An event as nothing of ours would store it.
UNCHECKED = """
with stored as (
    insert into dispatcher.events (account_id, name, body, created_at)
    values (%(account)s, 'invoice_paid', %(body)s, now()) returning id, account_id, name)
insert into dispatcher.events_waiting (event_id, account_id, name) select id, account_id, name from stored
returning event_id
"""


BAD_BODIES = {
    "{}": "KeyError",
    '{"invoice":[]}': "TypeError",
    '{"invoice":{"id":1},"payment":[1]}': "AttributeError",
}


def test_a_payload_that_cannot_be_made_fails_alone(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= {"DISPATCHER_RETRY_LIMIT": "1"}
    legacy = {"webhook_url": receiver.url("/legacy"), "events": ["invoice_paid"], "payload_version": "legacy"}
    create_webhook(cluster.container.storage, SLUG, legacy)
    cluster.webhook(receiver.url("/v3"))
    worker = cluster.start_worker()

    cluster.emit(20)
    errors = {
        cluster.rows(UNCHECKED, account=cluster.account.id, body=body)[0][0]: error
        for body, error in BAD_BODIES.items()
    }
    cluster.emit(20)
    wait_until(cluster.states, lambda states: states == {"delivered": 83, "failed": 3}, 30)

    failed = "select event_id, attempt_count from dispatcher.deliveries where state = 'failed'"
    assert dict(cluster.rows(failed)) == dict.fromkeys(errors, 2)
    reasons = (
        "select d.event_id, a.status, a.reason from dispatcher.attempts a"
        " join dispatcher.deliveries d on d.id = a.delivery_id where d.state = 'failed'"
    )
    assert Counter(cluster.rows(reasons)) == {
        (event, "unknown_error", f"the payload cannot be rendered: {error}"): 2 for event, error in errors.items()
    }
    assert len(posts_by_key(receiver)) == len(receiver.requests) == 83
    assert not worker.ended
