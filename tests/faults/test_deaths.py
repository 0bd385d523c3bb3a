"""Workers and emitters die at random moments: nothing accepted is lost, and a duplicate is what was in flight."""

import itertools
import random

from tests.faults.conftest import SHORTER, bounded, kill_at_random
from tests.support.cluster import Cluster, posts_by_key
from tests.support.processes import Program
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually


def test_workers_killed_at_random_lose_nothing(cluster: Cluster, receiver: Receiver, rng: random.Random) -> None:
    cluster.env |= SHORTER
    events, kill_count = bounded(600, 10_000), bounded(4, 30)
    for number in range(3):
        cluster.webhook(receiver.script(f"/{number}", Answer(delay_s=0.02)))

    with cluster.emitting(events, pause_s=kill_count * 0.9 / (events / 50)):
        kill_at_random(cluster, rng, kill_count, [cluster.start_worker(), cluster.start_worker()])
    cluster.wait_until_delivered(events * 3, 120)

    posts = posts_by_key(receiver)
    assert len(posts) == events * 3
    counts = cluster.counts()
    losses = sum(lost for _, lost in counts)  # each was in flight when its worker was killed
    retries = sum(attempts - 1 for attempts, _ in counts)  # by timeouts of 1 s, while workers start on all cores
    assert len(receiver.requests) - len(posts) <= losses + retries
    assert max(attempts for attempts, _ in counts) <= 6


EMITTER = """
import os, random, sys
from dispatcher import emit
from dispatcher.current import current_container
rng = random.Random(int(sys.argv[1]))
engine = current_container().storage.engine
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    mark = int(sys.argv[1]) * 100_000 + number
    with engine.connect() as connection:
        emit("inbox_file_removed_all", account="applecorp", connection=connection, inbox_files={"count": mark})
        if rng.random() < 0.5:
            connection.rollback()
            print("rolled back", mark, flush=True)
        else:
            connection.commit()
            print("committed", mark, flush=True)
"""


def marks(emitters: list[Program], word: str) -> set[int]:
    """The events of which the emitters said so before they were killed."""
    lines = itertools.chain.from_iterable(emitter.output.splitlines() for emitter in emitters)
    return {int(line.split()[-1]) for line in lines if line.startswith(word) and line.split()[-1].isdigit()}


def test_what_is_delivered_is_what_was_committed(cluster: Cluster, receiver: Receiver, rng: random.Random) -> None:
    cluster.webhook(receiver.url("/hook"), "inbox_file_removed_all")
    cluster.start_worker()
    script = cluster.folder / "emitter.py"
    script.write_text(EMITTER)
    rounds, size = bounded(4, 40), bounded(50, 100)

    emitters = []
    for number in range(rounds):
        emitter = cluster.start("python", str(script), str(number + 1), str(size))
        emitters.append(emitter)
        wanted = rng.randrange(3, size)
        eventually(lambda e=emitter, n=wanted: len(e.output.splitlines()) >= n or e.ended, 30, "an emitter at work")
        emitter.kill()
    stored = {row[0] for row in cluster.rows("select (body -> 'inbox_files' ->> 'count')::int from dispatcher.events")}
    cluster.wait_until_delivered(len(stored), 60)

    arrived = [int(request.body.split(b'"count":')[1].split(b"}")[0]) for request in receiver.requests]
    assert sorted(arrived) == sorted(stored)
    assert marks(emitters, "committed") <= stored
    assert not marks(emitters, "rolled back") & stored
    assert len(stored) >= rounds
