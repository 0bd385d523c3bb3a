"""An account that floods the dispatcher delays nobody else."""

import time

import pytest

from dispatcher import emit
from dispatcher.webhooks.edit import create_webhook
from tests.faults.conftest import LAY_DOWN, bounded
from tests.support.builders import a_body, an_account
from tests.support.cluster import Cluster
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually

STEP = 50_000


@pytest.mark.parametrize("answers_in_s", [0.0, 0.1], ids=["quick", "slow"])
def test_with_very_much_due_another_accounts_first_delivery_takes_no_second(
    cluster: Cluster, receiver: Receiver, answers_in_s: float
) -> None:
    count = bounded(STEP, 20 * STEP)
    flooded = cluster.webhook(receiver.script("/flood", Answer(delay_s=answers_in_s)), "inbox_file_removed_all")
    cluster.start_worker()
    cluster.start_worker()
    for _ in range(count // STEP):
        cluster.rows(LAY_DOWN, account=cluster.account.id, webhook=flooded, count=STEP)
    cluster.container.reconciler.reconcile()
    receiver.wait_for(100)

    for number in range(20):
        other = an_account(cluster.container.storage, f"pearcorp{number}")
        create_webhook(
            cluster.container.storage,
            other.slug,
            {"webhook_url": receiver.url(f"/{number}"), "events": ["invoice_paid"]},
        )
        began_s = time.monotonic()
        emit("invoice_paid", account=other.slug, **a_body())
        eventually(lambda n=number: any(one.path == f"/{n}" for one in receiver.requests), 20, "its POST")
        assert time.monotonic() - began_s < 1.0

    assert cluster.rows(
        "select exists (select from dispatcher.deliveries_waiting where webhook_id = %(id)s)", id=flooded
    )[0][0]
