"""What the throughput is compared with, on the same machine in the same run.

one task per delivery   what everyone writes first; prefork and threads, the faster one counts
bare loop               libcurl with 50 requests in flight that signs nothing and stores nothing: the ceiling
"""

import time
from dataclasses import dataclass

import pycurl

from bench import load
from bench.receiver import Receiver
from bench.rig import Rig, say, wait_until

IN_FLIGHT = 50
_POOLS = {"prefork, 2 processes": "prefork -c 2", "threads, 16": "threads -c 16"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Yardstick:
    """`per_second` deliveries or POSTs."""

    name: str
    count: int
    per_second: float


def bare_loop(receiver: Receiver, share: float) -> Yardstick:
    """POSTs of the same size, as fast as one process can."""
    count = int(100_000 * share)
    body = load.body_json().encode()
    multi = pycurl.CurlMulti()
    free = [_handle(receiver.url(), body) for _ in range(IN_FLIGHT)]
    started = finished = 0
    began_s = time.monotonic()
    while finished < count:
        while free and started < count:
            multi.add_handle(free.pop())
            started += 1
        multi.perform()
        _, succeeded, failed = multi.info_read()
        for curl in succeeded:
            multi.remove_handle(curl)
            free.append(curl)
        if failed:
            raise RuntimeError(f"the bare loop failed: {failed[0][2]}")
        finished += len(succeeded)
        if not succeeded:
            multi.select(0.02)
    per_second = count / (time.monotonic() - began_s)
    say(f"bare libcurl loop: {per_second:,.0f}/s")
    return Yardstick(
        name=f"bare libcurl loop, {IN_FLIGHT} in flight, stores nothing", count=count, per_second=per_second
    )


def one_task_per_delivery(rig: Rig, receiver: Receiver, share: float) -> list[Yardstick]:
    """Each pool's rate, the fastest first."""
    done = [_one_task(rig, receiver, int(5_000 * share), name, pool) for name, pool in _POOLS.items()]
    return sorted(done, key=lambda yardstick: -yardstick.per_second)


def _one_task(rig: Rig, receiver: Receiver, count: int, name: str, pool: str) -> Yardstick:
    from bench import one_task_per_delivery as first_version  # noqa: PLC0415 -- it builds a Celery application

    table = first_version.TABLE
    rig.sql(f"drop table if exists {table}")
    rig.sql(
        f"create table {table} (id bigserial primary key, delivery_id bigint not null, url text not null,"
        " status text not null, body text, recorded_at timestamptz not null default clock_timestamp())"
    )
    rig.redis.delete(first_version.QUEUE)
    for number in range(count):
        first_version.deliver.delay(number, receiver.url(), load.body_json(), "c2VjcmV0" * 5)
    worker = f"-A bench.one_task_per_delivery worker -n first@%h -Q {first_version.QUEUE} -P {pool}"
    with rig.celery(f"{worker} -l error --without-gossip --without-mingle") as process:
        wait_until(
            f"{count} rows",
            lambda: rig.sql(f"select count(*) from {table}")[0][0] >= count,
            within_s=120.0,
            every_s=0.25,
            processes=[process],
        )
    # From the first record to the last: its worker's start does not count.
    seconds = rig.sql(f"select extract(epoch from max(recorded_at) - min(recorded_at))::float8 from {table}")[0][0]
    rig.sql(f"drop table {table}")
    say(f"one task per delivery ({name}): {(count - 1) / seconds:,.0f}/s")
    return Yardstick(name=f"one Celery task per delivery, {name}", count=count, per_second=(count - 1) / seconds)


def _handle(url: str, body: bytes) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.POSTFIELDS, body)
    curl.setopt(pycurl.HTTPHEADER, ["Content-Type: application/json", "Expect:"])
    curl.setopt(pycurl.WRITEFUNCTION, len)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.TIMEOUT_MS, 30_000)
    return curl
