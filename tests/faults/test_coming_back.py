"""After the worst, deliveries flow again within seconds: nobody waits for a hold, an interval or a pause to end."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import redis

from dispatcher.container import Container
from dispatcher.current import use_container
from dispatcher.local.env_file import running_environment
from dispatcher.schedule.workers import WORKERS
from dispatcher.settings import Settings
from dispatcher.storage.engine import rows
from dispatcher.webhooks.edit import create_webhook
from tests.faults.conftest import bounded
from tests.support.builders import an_account
from tests.support.cluster import SLUG, Cluster, Emitting, emit_chunk, posts_by_key
from tests.support.ports import free_port
from tests.support.processes import Program, run
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually, wait_until

FLOWING_S = 3.0
WEBHOOKS = 5


@contextmanager
def services_of(up: Program, folder: Path) -> Iterator[Container]:
    """A container on the servers that `up` has brought along, once its worker lives; it is this process's."""
    env = eventually(lambda: running_environment(folder / ".dispatcher"), 60, "the servers of `up`")
    container = Container(
        Settings(
            database_url=env["DATABASE_URL"],
            redis_url=env["REDIS_URL"],
            broker_url=env["REDIS_URL"],
            secret_keys=(env["SECRET_KEYS"],),
            allowed_networks=(ip_network("127.0.0.0/8"),),
        )
    )
    use_container(container)
    eventually(lambda: len(container.schedule.workers.names()) == 2, 60, f"the workers\n{up.output}")
    yield container
    use_container(None)
    container.close()


def kill_all_but_postgres(up: Program, container: Container) -> float:
    """Workers and Valkey, as by one `kill -9`; returns when, by the clock of the day."""
    family = [
        int(pid) for task in Path(f"/proc/{up.pid}/task").iterdir() for pid in (task / "children").read_text().split()
    ]
    doomed = [pid for pid in family if b"postgres" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(doomed) == 3, up.output  # worker, worker_slow, Valkey
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    killed_at_s = time.time()
    at_work = "pg_stat_activity where state <> 'idle' and datname = current_database() and pid <> pg_backend_pid()"
    eventually(lambda: count(container, at_work) == 0, 10, "the end of what they had asked of Postgres")
    return killed_at_s


def seen_since(container: Container, at_s: float) -> bool:
    """Whether a worker of the deliveries has said that it lives."""
    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(container.settings.redis_url) as client:
        return any(name.startswith(b"worker1@") for name in client.zrangebyscore(WORKERS, at_s * 1000, "+inf"))
    return False


def count(container: Container, sql: str) -> int:
    return int(container.storage.read(rows, f"select count(*) from {sql}")[0][0])


def test_killed_in_a_burst_deliveries_flow_again_as_soon_as_a_worker_is_up(
    folder: Path, programs: list[Program], receiver: Receiver
) -> None:
    env = {"DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8", "PORT": str(free_port()), "FLOWER_PORT": str(free_port(1))}
    up = run(programs, folder, "up", "--scale", "flower=0", "--scale", "web=0", **env)
    with services_of(up, folder) as container:
        an_account(container.storage, SLUG)
        for number in range(WEBHOOKS):
            url = receiver.script(f"/{number}", Answer(delay_s=0.1))
            create_webhook(container.storage, SLUG, {"webhook_url": url, "events": ["invoice_paid"]})
        burst = Emitting(lambda: emit_chunk(10), chunks=bounded(40, 400), pause_s=0.05)
        burst.thread.start()
        receiver.wait_for(WEBHOOKS * 20, 30)

        killed_at_s = kill_all_but_postgres(up, container)
        before, claimed = (
            count(container, "dispatcher.attempts"),
            count(container, "dispatcher.deliveries_waiting where lease_token is not null"),
        )
        eventually(lambda: seen_since(container, killed_at_s), 60, "a new worker")
        up_s = time.monotonic()
        eventually(lambda: count(container, "dispatcher.attempts") > before, 60, "a delivery")
        stood_still_s = time.monotonic() - up_s
        burst.thread.join()

        assert burst.refused == []
        assert stood_still_s <= FLOWING_S
        # All but what the dead had claimed, which is theirs until their leases end.
        expected = len(burst.accepted) * WEBHOOKS - claimed
        eventually(lambda: len(posts_by_key(receiver)) >= expected, 60, "the rest")
        assert len(receiver.requests) - len(posts_by_key(receiver)) <= claimed


def test_what_a_killed_worker_held_is_taken_over_by_another_that_runs(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= {"DISPATCHER_HOLD_S": "60", "DISPATCHER_RECONCILE_S": "60"}
    cluster.env |= {"DISPATCHER_TIMEOUT_S": "60", "DISPATCHER_LEASE_S": "120"}
    cluster.env |= {"DISPATCHER_WINDOW_START": "1", "DISPATCHER_WINDOW_MAX": "1"}
    cluster.webhook(receiver.script("/hook", Answer(delay_s=60), Answer()))
    first = cluster.start_worker()
    cluster.emit(5)
    receiver.wait_for(1)
    cluster.start_worker()

    first.kill()

    receiver.wait_for(6, 20)  # far less than a hold, an interval or a lease; one was in flight
    wait_until(cluster.states, lambda states: states == {"delivered": 5}, 10)


def test_a_redis_that_dies_alone_holds_up_nobody_for_longer_than_it_is_away(
    cluster: Cluster, receiver: Receiver
) -> None:
    cluster.env |= {"DISPATCHER_HOLD_S": "60", "DISPATCHER_RECONCILE_S": "60", "DISPATCHER_LEASE_S": "60"}
    for number in range(5):
        cluster.webhook(receiver.script(f"/{number}", Answer(delay_s=0.1)))
    cluster.start_worker()

    with cluster.emitting(100_000, chunk=10, pause_s=0.1) as emitting:
        receiver.wait_for(200, 30)
        cluster.valkey.kill()
        before = eventually(lambda: quiet_since(receiver, 1.0), 20, "drains that have ended, and could not say so")
        cluster.valkey.restart()
        back_s = time.monotonic()
        (*_, last) = receiver.wait_for(before + 1, 60)
        assert last.received_s - back_s < 2 * FLOWING_S
        emitting.enough.set()
    cluster.wait_until_delivered(5 * len(emitting.accepted), 60)

    assert len(receiver.requests) == 5 * len(emitting.accepted)  # no process died


def quiet_since(receiver: Receiver, seconds: float) -> int:
    """How many requests there were, once none has come for so long."""
    requests = receiver.requests
    return len(requests) if time.monotonic() - requests[-1].received_s > seconds else 0
