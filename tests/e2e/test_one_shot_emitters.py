"""Processes that emit one event and end, such as a cron job, on a machine that is busy with other things."""

import json

from tests.e2e.conftest import busy_cores
from tests.support.builders import a_body
from tests.support.cluster import SLUG, Cluster
from tests.support.receiver import Receiver

EMITTERS = 6


def test_their_events_are_on_their_way_when_they_end_and_nobody_is_warned(cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.url("/hook"))
    cluster.start_worker(DISPATCHER_RECONCILE_S="600")  # so that nothing but the commit can be the reason
    body = cluster.folder / "body.json"
    body.write_text(json.dumps(a_body()))

    with busy_cores():
        emitters = [
            cluster.start("dispatcher", "emit", "invoice_paid", "--account", SLUG, "--body", body)
            for _ in range(EMITTERS)
        ]
        ends = [emitter.wait(60) for emitter in emitters]
        cluster.wait_until_delivered(EMITTERS, 30)

    assert ends == [0] * EMITTERS
    assert all("accepted" in emitter.output and "WARNING" not in emitter.output for emitter in emitters)
