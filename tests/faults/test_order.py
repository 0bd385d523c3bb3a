"""Order is that of commits, with several emitters and workers that die: no older update arrives after a newer one."""

import itertools
import json
import random

from dispatcher.webhooks.edit import create_webhook
from tests.faults.conftest import SHORTER, bounded, kill_at_random
from tests.support.cluster import SLUG, Cluster
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import wait_until

# Each update of a resource has the next number of its row, which the transaction has locked: numbers are in the order
# of commits. Whoever is killed leaves no number behind.
EMITTER = """
import random, sys, time
from dispatcher import emit
from dispatcher.current import current_container
seed, wanted, resources = (int(word) for word in sys.argv[1:4])
pause_s = float(sys.argv[4])
rng = random.Random(seed)
engine = current_container().storage.engine
is_over = False
while not is_over:
    with engine.begin() as connection:
        id_ = rng.randrange(resources)
        for _ in range(rng.choice((1, 1, 1, 4))):
            (number,) = connection.exec_driver_sql(
                "update numbers set number = number + 1 where id = %(id)s returning number", {"id": id_}).one()
            emit("invoice_updated", account="applecorp", connection=connection,
                 invoice={"id": id_, "number": str(number)})
    time.sleep(rng.uniform(0, 2 * pause_s))
    with engine.begin() as connection:
        (is_over,) = connection.exec_driver_sql(f"select sum(number) >= {wanted} from numbers").one()
"""


def arrivals(receiver: Receiver, path: str) -> dict[int, list[int]]:
    """Of each resource the numbers of its updates, in the order in which they arrived first."""
    found: dict[int, list[int]] = {}
    for request in receiver.requests:
        if request.path == path:
            invoice = json.loads(request.body)["body"]["invoice"]
            found.setdefault(invoice["id"], []).append(int(invoice["number"]))
    return {id_: list(dict.fromkeys(numbers)) for id_, numbers in found.items()}


def test_updates_arrive_in_the_order_of_their_commits(cluster: Cluster, receiver: Receiver, rng: random.Random) -> None:
    cluster.env |= SHORTER
    updates, resources, kill_count = bounded(200, 10_000), bounded(10, 40), bounded(2, 25)
    failing = [Answer(status=500 if rng.random() < 0.05 else 200) for _ in range(updates // 2)]
    for path, superseding in (("/each", False), ("/newest", True)):
        attributes = {"webhook_url": receiver.script(path, *failing, Answer()), "events": ["invoice_updated"]}
        order = {"ordering": "resource", "superseding": superseding}
        create_webhook(cluster.container.storage, SLUG, attributes | order)
    cluster.rows("create table numbers (id int primary key, number int not null)")
    cluster.rows("insert into numbers select id, 0 from generate_series(0, %(last)s) id", last=resources - 1)
    script = cluster.folder / "emitter.py"
    script.write_text(EMITTER)

    workers = [cluster.start_worker() for _ in range(3)]
    pause_s = kill_count * 0.9 / (updates / 1.75 / 4)  # four emitters, 1.75 updates a transaction
    emitters = [
        cluster.start("python", script, str(seed), str(updates), str(resources), str(pause_s)) for seed in range(4)
    ]
    kill_at_random(cluster, rng, kill_count, workers)
    emitters[0].kill()
    for emitter in emitters[1:]:
        assert emitter.wait(bounded(60, 600)) == 0
    numbers = dict(cluster.rows("select id, number from numbers"))
    stored = sum(numbers.values())

    def is_over(states: dict[str, int]) -> bool:
        return set(states) <= {"delivered", "superseded"} and sum(states.values()) == 2 * stored

    wait_until(cluster.states, is_over, bounded(60, 300))
    assert stored >= updates
    assert arrivals(receiver, "/each") == {id_: [*range(1, number + 1)] for id_, number in numbers.items() if number}
    newest = arrivals(receiver, "/newest")
    assert {id_: arrived[-1] for id_, arrived in newest.items()} == {
        id_: number for id_, number in numbers.items() if number
    }
    assert all(earlier < later for arrived in newest.values() for earlier, later in itertools.pairwise(arrived))
