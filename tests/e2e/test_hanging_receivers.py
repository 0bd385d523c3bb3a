"""A receiver that never answers is its own problem."""

from tests.conftest import eventually
from tests.e2e.cluster import Cluster
from tests.receiver import Answer, Receiver


def test_healthy_receivers_do_not_wait_for_one_that_hangs(cluster: Cluster, receiver: Receiver):
    hanging = cluster.webhook(receiver.script("/hangs", Answer(delay_s=600)), "invoice_created")
    for number in range(3):
        cluster.webhook(receiver.url(f"/{number}"))
    cluster.start_worker(DISPATCHER_TIMEOUT_S="8", DISPATCHER_LEASE_S="16", DISPATCHER_RETRY_LIMIT="0")
    cluster.emit(4, "invoice_created")
    receiver.wait_for(4)

    cluster.emit(100)

    eventually(lambda: cluster.states() == {"delivered": 300, "pending": 4}, 7, "300 deliveries, the others in flight")
    eventually(lambda: cluster.states() == {"delivered": 300, "failed": 4}, 15, "the end of those that hang")
    of_hanging = "select a.status from attempts a join deliveries d on d.id = a.delivery_id where d.webhook_id = %(id)s"
    assert cluster.rows(of_hanging, id=hanging) == [("timeout",)] * 4
    assert len(receiver.requests) == 304
