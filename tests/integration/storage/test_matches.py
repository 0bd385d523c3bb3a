"""What a replay takes is read by indexes, a few rows at a time, of the days that can hold it."""

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.model.delivery import State
from dispatcher.model.replay import ReplaySpec
from dispatcher.storage.pipeline import order
from dispatcher.storage.replays import jobs, selection
from dispatcher.storage.replays.selection import SelectionLimits
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_webhook

NOW = datetime.now(UTC)


def requested(days: int = 5, **given: Any) -> ReplaySpec:
    return ReplaySpec(
        since=NOW - timedelta(days=days), until=NOW + timedelta(hours=1), as_of=NOW + timedelta(hours=1), **given
    )


@pytest.fixture(scope="module")
def steps(kept: Steps) -> Steps:
    return kept


@pytest.fixture(scope="module")
def much(steps: Steps) -> list[int]:
    """Ten days of history of 40 webhooks, a hundredth of it failed, and as much that waits; with statistics."""
    hooks = [a_webhook(steps.storage, steps.account) for _ in range(40)]
    steps.rows("select dispatcher.create_partitions(current_date - n) from generate_series(0, 9) n")
    for finished, state in (("current_date - mod(n / 40, 10)", "delivered"), ("null", "pending")):
        steps.rows(
            f"insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, created_at,"
            f" finished_on)"
            f" select id, id, (%(hooks)s::int[])[mod(n, 40) + 1], dispatcher.new_idempotency_key(id), '{state}',"
            f" now() - make_interval(days => mod(n / 40, 10)), {finished}"
            f" from (select n, nextval('dispatcher.delivery_id') as id from generate_series(1, 6000) n) made",
            hooks=[hook.id for hook in hooks],
        )
    steps.rows("update dispatcher.deliveries set state = 'failed' where mod(id, 100) = 0 and state = 'delivered'")
    steps.rows(
        "insert into dispatcher.events (id, account_id, name, body, created_at)"
        " select id, %(id)s, 'invoice_paid', '{}', now() from dispatcher.deliveries where state <> 'pending'",
        id=steps.account.id,
    )
    steps.analyze()
    return [hook.id for hook in hooks]


def plan(steps: Steps, sql: str, parameters: Any) -> str:
    return "\n".join(line for (line,) in steps.rows("explain " + sql, **parameters))


def read_whole(found: str) -> list[str]:
    """Tables with rows in them that the plan reads from end to end."""
    return re.findall(r"Seq Scan on (\w+) .*cost=(?!0\.00\.\.0\.00)", found)


def test_a_scan_is_read_by_the_index_of_its_webhooks(steps: Steps, much: list[int]) -> None:
    for states, count, names, tail in itertools.product(
        ((State.FAILED,), (State.DELIVERED,), (State.FAILED, State.DELIVERED)),
        (1, 40),
        (None, ("invoice_paid",)),
        (selection._COUNT, selection._PICK),
    ):
        index = "deliveries_failed|_webhook_id_id_idx" if states == (State.FAILED,) else "by_webhook"
        of_these = requested(states=states, event_names=names)
        found = plan(
            steps,
            *selection._scan_sql(
                of_these, dict.fromkeys(much[:count], 7), SelectionLimits(scan=1_000 // count, redeliveries=9), tail
            ),
        )

        assert read_whole(found) == []
        assert re.search(index, found)
        days = set(re.findall(r"on deliveries_(\d{8})", found))
        assert len(days) <= 7  # since then, and the one of as_of, which may be tomorrow


def test_a_batch_is_moved_by_the_indexes_of_its_days(steps: Steps, much: list[int]) -> None:
    today = steps.value("select current_date")
    parameters = {"ids": list(range(1, 500)), "days": [today], "states": ["failed"], "as_of": NOW}
    parameters |= order.keyed()
    for statement in (selection._MOVE, selection._COPY):
        found = plan(steps, statement, parameters)

        assert set(read_whole(found)) <= {"webhooks"}  # few
        assert set(re.findall(r"deliveries_(\d{8})", found)) == {f"{today:%Y%m%d}"}


def test_missed_events_are_read_by_the_index_of_their_account(steps: Steps, much: list[int]) -> None:
    parameters = {
        "account_id": steps.account.id, "webhook_id": much[0], "names": None, "after": 0, "until_id": 2**52,
        "first_day": NOW.date(), "scan": 1_000,
    }  # fmt: skip
    found = plan(steps, selection._MISSED, parameters)

    assert set(read_whole(found)) <= {"webhooks", "events_waiting"}  # few, and what waits


def test_a_scan_goes_on_where_the_last_ended(steps: Steps, much: list[int]) -> None:
    storage = steps.storage
    of_all = requested(days=20, states=(State.FAILED, State.DELIVERED))
    limits = SelectionLimits(scan=45, redeliveries=9)
    ids: dict[int, list[int]] = {much[0]: [], much[1]: []}
    afters, looks = {much[0]: 0, much[1]: 0}, 0
    while afters:
        found = storage.read(selection.pick, steps.account.id, of_all, afters, limits)
        counted = storage.read(selection.count, steps.account.id, of_all, afters, limits)
        assert {id_: (look.scanned, look.matched) for id_, look in found.items()} == {
            id_: (look.scanned, look.matched) for id_, look in counted.items()
        }
        for webhook_id, look in found.items():
            ids[webhook_id] += look.ids
        afters = {webhook_id: look.last_id for webhook_id, look in found.items() if look.scanned == 45}
        looks += 1

    assert looks == 4
    for webhook_id, taken in ids.items():
        sql = "select id from dispatcher.deliveries where webhook_id = %(id)s and finished_on is not null order by id"
        assert taken == [id_ for (id_,) in steps.rows(sql, id=webhook_id)]


def test_workers_that_ask_again_and_again_ask_little(steps: Steps, much: list[int]) -> None:
    storage = steps.storage
    made = storage.transact(jobs.add, steps.account.id, None, requested(), dict.fromkeys(much, 1))
    steps.analyze()
    assert "replays_running" in plan(steps, jobs._RUNNING, {})
    found = plan(steps, jobs._NEXT, {"id": made.id, "limit": 3})
    assert "Sort" not in found.split("Limit")[-1]
    assert storage.read(jobs.next_webhooks, made.id, 3) == much[:3]
    steps.rows("update dispatcher.replays set turn = %(turn)s", turn=much[38])
    assert storage.read(jobs.next_webhooks, made.id, 3) == [much[39], much[0], much[1]]
