"""A replay is carried on by whichever workers live, and survives them."""

from datetime import UTC, datetime, timedelta

from dispatcher.replays import job
from dispatcher.storage.admin import accounts
from dispatcher.storage.pipeline import events
from dispatcher.storage.replays import jobs
from tests.support.cluster import SLUG, Cluster, posts_by_key
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

COUNT = 600


def test_a_replay_outlives_the_workers_that_carry_it_on(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= {"DISPATCHER_TIMEOUT_S": "1", "DISPATCHER_LEASE_S": "2", "DISPATCHER_HOLD_S": "1"}
    cluster.webhook(receiver.url("/hook"))
    cluster.emit(COUNT)
    container = cluster.container
    while container.storage.transact(events.fan_out, 500).event_count:
        pass
    cluster.rows("update dispatcher.deliveries set state = 'failed', finished_on = current_date, updated_at = now()")
    account = container.storage.read(accounts.find, SLUG)
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    made = job.start(container.storage, container.schedule, account, {"since": since, "rate": 400}, redelivery_limit=1)

    first = cluster.start_worker(ready=False)
    cluster.start_worker()
    receiver.wait_for(50, 20)
    first.kill()
    eventually(lambda: cluster.states() == {"delivered": COUNT}, 30, "all delivered")

    found = container.storage.read(jobs.find, made.id)
    assert (found.state, found.matched, found.sent) == ("done", COUNT, COUNT)
    posts = posts_by_key(receiver)
    assert len(posts) == COUNT
    assert max(posts.values()) <= 2  # what was in flight at the kill
    assert len(receiver.requests) <= len(cluster.attempts())
