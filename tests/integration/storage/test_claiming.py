import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from dispatcher.connections.adapter import Planned
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.storage import planned
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Connection, Storage, rows
from dispatcher.storage.pipeline import deliveries, events, leasing
from dispatcher.storage.pipeline.deliveries import _CLAIM, _NEXT_DUE, Claim
from dispatcher.storage.stats import partitions
from tests.conftest import ShiftTime
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, a_webhook


@pytest.fixture
def ready(steps: Steps, webhook: Webhook) -> Steps:
    """Five deliveries of `webhook` are due."""
    steps.emit(*(a_draft() for _ in range(5)))
    steps.fan_out()
    return steps


def ids(claim: Claim) -> list[int]:
    return [one.id for one in claim.claimed]


def test_a_claim_has_all_that_is_needed_to_send(steps: Steps, storage: Storage, account: Account) -> None:
    hook = a_webhook(storage, account, "https://example.com/x?token=1", auth_header="Bearer abc")
    (event,) = steps.emit(a_draft(body_json='{"invoice":{"id":9}}'))
    steps.fan_out()

    claim = steps.claim({hook.id: 10})

    (claimed,) = claim.claimed
    assert (claimed.webhook_id, claimed.attempt_number, claimed.event_name) == (hook.id, 1, "invoice_paid")
    assert (claimed.event_created_at, claimed.body_json) == (event.created_at, '{"invoice":{"id":9}}')
    assert claimed.time_zone == "Europe/Prague"
    target = claim.targets[hook.id]
    assert (target.url, target.auth_header) == ("https://example.com/x?token=1", "Bearer abc")
    assert len(target.signing_keys) == 1


def test_a_claim_takes_at_most_the_slots_of_each_webhook(
    ready: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    other = a_webhook(storage, account)
    ready.emit(a_draft())
    ready.fan_out()

    claimed = ready.claim({webhook.id: 2, other.id: 2}).claimed

    assert sorted(one.webhook_id for one in claimed) == [webhook.id, webhook.id, other.id]
    assert {one.body_json for one in claimed} == {a_draft().body_json.decode()}


def test_the_longest_due_is_claimed_first(ready: Steps, webhook: Webhook) -> None:
    ready.rows("update dispatcher.deliveries set next_attempt_at = now() - make_interval(secs => id::int)")

    claimed = ready.claim({webhook.id: 2})
    assert (
        sorted(ids(claimed))
        == [row[0] for row in ready.rows("select id from dispatcher.deliveries order by id desc limit 2")][::-1]
    )


def test_what_is_leased_is_not_claimed_again(ready: Steps, webhook: Webhook) -> None:
    assert len(ids(ready.claim({webhook.id: 3}))) == 3
    assert len(ids(ready.claim({webhook.id: 10}))) == 2
    assert ready.claim({webhook.id: 10}).claimed == ()


def test_two_drains_at_once_share_what_is_due(ready: Steps, webhook: Webhook) -> None:
    with ready.another_session() as connection:
        first = ids(ready.claim({webhook.id: 3}, connection))
        second = ids(ready.claim({webhook.id: 10}))

    assert (len(first), len(second)) == (3, 2)
    assert not set(first) & set(second)


def test_what_is_not_due_yet_is_not_claimed(ready: Steps, webhook: Webhook, shift_time: ShiftTime) -> None:
    ready.rows("update dispatcher.deliveries set next_attempt_at = now() + interval '1 hour'")
    assert ready.claim({webhook.id: 10}).claimed == ()

    shift_time(3_601)
    assert len(ready.claim({webhook.id: 10}).claimed) == 5


def test_an_inactive_webhooks_deliveries_wait(
    ready: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    ready.rows("update dispatcher.webhooks set active = false")
    assert ready.claim({webhook.id: 10}).claimed == ()

    ready.rows("update dispatcher.webhooks set active = true")
    assert len(ready.claim({webhook.id: 10}).claimed) == 5


def test_a_claim_moves_the_due_time_to_the_leases_end(ready: Steps, webhook: Webhook) -> None:
    (claimed,) = ready.claim({webhook.id: 1}, lease=timedelta(seconds=90)).claimed
    row = ready.delivery(claimed.id)

    assert row["lease_token"] == str(claimed.lease_token)
    left = datetime.fromisoformat(row["next_attempt_at"]) - ready.value("select now()")
    assert timedelta(seconds=70) < left <= timedelta(seconds=90)


def test_a_lease_that_ran_out_is_a_lost_attempt_that_uses_up_no_try(
    ready: Steps, webhook: Webhook, shift_time: ShiftTime
) -> None:
    before = ready.claim_one(webhook.id)
    shift_time(61)
    ready.rows(
        "update dispatcher.deliveries set next_attempt_at = dispatcher.now() + interval '1 h' where lease_token is null"
    )

    again = ready.claim_one(webhook.id)

    assert (again.id, again.attempt_number, again.idempotency_key) == (before.id, 1, before.idempotency_key)
    assert again.lease_token != before.lease_token
    assert ready.delivery(again.id)["lost_count"] == 1
    assert ready.attempts(again.id) == [(1, "unknown_error", "lost")]


def test_attempts_and_losses_are_numbered_together(ready: Steps, webhook: Webhook) -> None:
    first = ready.claim_one(webhook.id)
    ready.record(first, "503", retry_in_s=-1)
    ready.rows(
        "update dispatcher.deliveries set next_attempt_at = now() + interval '1 h' where id <> %(id)s", id=first.id
    )
    ready.claim_one(webhook.id)
    ready.lose(first.id)
    third = ready.claim_one(webhook.id)
    ready.record(third)

    assert third.attempt_number == 2
    assert ready.attempts(first.id) == [(1, "503", None), (2, "unknown_error", "lost"), (3, "200", None)]


def test_a_delivery_that_kills_its_workers_is_given_up(steps: Steps, webhook: Webhook) -> None:
    steps.emit()
    steps.fan_out()
    claimed = steps.claim_one(webhook.id)
    for _ in range(2):
        steps.lose(claimed.id)
        assert len(steps.claim({webhook.id: 1}, limit=3).claimed) == 1
    steps.lose(claimed.id)

    last = steps.claim({webhook.id: 1}, limit=3)

    assert (last.claimed, last.failed) == ((), 1)
    assert steps.delivery(claimed.id)["state"] == "failed"
    assert steps.delivery(claimed.id)["lost_count"] == 3
    assert [reason for _, _, reason in steps.attempts(claimed.id)] == ["lost"] * 3


def test_a_delivery_that_was_given_up_is_sent_again_when_replayed(steps: Steps, webhook: Webhook) -> None:
    steps.emit()
    steps.fan_out()
    claimed = steps.claim_one(webhook.id)
    steps.lose(claimed.id)
    steps.claim({webhook.id: 1}, limit=1)
    assert steps.delivery(claimed.id)["state"] == "failed"

    steps.storage.transact(deliveries.replay, claimed.id, 3)

    assert ids(steps.claim({webhook.id: 1}, limit=1)) == [claimed.id]


def test_what_was_returned_unsent_is_due_at_once_and_uncounted(ready: Steps, webhook: Webhook) -> None:
    claim = ready.claim({webhook.id: 5})
    token = claim.claimed[0].lease_token
    ready.storage.transact(deliveries.return_unsent, ids(claim)[:2], token)

    again = ready.claim({webhook.id: 5})

    assert sorted(ids(again)) == sorted(ids(claim)[:2])
    assert [one.attempt_number for one in again.claimed] == [1, 1]
    assert all(ready.attempts(id_) == [] for id_ in ids(claim))


def test_only_the_holder_of_a_lease_returns_it(ready: Steps, webhook: Webhook) -> None:
    stale = ready.claim_one(webhook.id)
    ready.lose(stale.id)
    ready.rows(
        "update dispatcher.deliveries set next_attempt_at = now() + interval '1 h' where id <> %(id)s", id=stale.id
    )
    fresh = ready.claim_one(webhook.id)

    ready.storage.transact(deliveries.return_unsent, [stale.id], stale.lease_token)

    assert ready.delivery(fresh.id)["lease_token"] == str(fresh.lease_token)


def test_during_a_rotation_both_secrets_sign(ready: Steps, storage: Storage, webhook: Webhook) -> None:
    encrypted = storage.secrets.close("whsec_b2xkIGtleQ==")
    ready.rows(
        "update dispatcher.webhooks"
        " set previous_secret_encrypted = %(old)s, previous_secret_until = now() + interval '1 h'",
        old=encrypted,
    )
    assert ready.claim({webhook.id: 1}).targets[webhook.id].signing_keys[1].hmac == b"old key"

    ready.rows("update dispatcher.webhooks set previous_secret_until = now() - interval '1 s'")
    assert len(ready.claim({webhook.id: 1}).targets[webhook.id].signing_keys) == 1


def test_a_webhook_whose_secret_is_unreadable_has_no_target_and_the_others_have(
    ready: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    other = a_webhook(storage, account)
    ready.emit()
    ready.fan_out()
    ready.rows("update dispatcher.webhooks set signing_secret_encrypted = 'rubbish' where id = %(id)s", id=webhook.id)

    claim = ready.claim({webhook.id: 1, other.id: 1})

    assert len(claim.claimed) == 2
    assert set(claim.targets) == {other.id}


def test_the_next_due_time_of_each_webhook_with_work(
    ready: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    idle, asleep = a_webhook(storage, account, events=["invoice_sent"]), a_webhook(storage, account)
    ready.emit()
    ready.fan_out()
    ready.rows("update dispatcher.webhooks set active = false where id = %(id)s", id=asleep.id)
    ready.rows("update dispatcher.deliveries set next_attempt_at = now() + interval '90 s'")

    waits = ready.storage.transact(deliveries.next_due, [webhook.id, idle.id, asleep.id])

    assert waits == {webhook.id: pytest.approx(90, abs=20)}


def test_all_due_walks_every_webhook_page_by_page(steps: Steps, storage: Storage, account: Account) -> None:
    hooks = [a_webhook(storage, account) for _ in range(5)]
    steps.emit(*(a_draft() for _ in range(3)))
    steps.fan_out()
    steps.rows("update dispatcher.webhooks set active = false where id = %(id)s", id=hooks[1].id)
    steps.rows(
        "update dispatcher.deliveries set next_attempt_at = now() + interval '60 s' where webhook_id = %(id)s",
        id=hooks[2].id,
    )

    seen, after = [], 0
    while page := storage.transact(deliveries.all_due, after=after, limit=2):
        seen += page
        after = page[-1].webhook_id

    assert [(one.webhook_id, one.active) for one in seen] == [(hook.id, hook is not hooks[1]) for hook in hooks]
    assert seen[0].wait_s < 0
    assert seen[2].wait_s == pytest.approx(60, abs=20)


def test_replay_starts_the_tries_anew_under_the_same_key(ready: Steps, webhook: Webhook) -> None:
    first = ready.claim_one(webhook.id)
    ready.record(first, "500")
    assert ready.delivery(first.id)["state"] == "failed"
    ready.rows("update dispatcher.deliveries set next_attempt_at = now() + interval '1 h' where finished_on is null")

    assert ready.storage.transact(deliveries.replay, first.id, 3) == webhook.id
    again = ready.claim_one(webhook.id)

    assert (again.id, again.idempotency_key, again.attempt_number) == (first.id, first.idempotency_key, 1)
    ready.record(again)
    assert ready.attempts(first.id) == [(1, "500", None), (2, "200", None)]


def test_a_delivery_whose_event_is_gone_is_failed_with_the_reason(
    ready: Steps, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    ready.rows("delete from dispatcher.events where id = (select min(id) from dispatcher.events)")

    claim = ready.claim({webhook.id: 10})

    assert (len(claim.claimed), claim.failed, claim.losses) == (4, 1, 0)
    (gone,) = {1, 2, 3, 4, 5} - set(ids(claim))
    assert ready.delivery(gone)["state"] == "failed"
    assert ready.attempts(gone) == [(1, "unknown_error", "its event is gone")]
    assert f"delivery.without_event event_id={ready.delivery(gone)['event_id']}" in caplog.text


def test_a_delivery_that_was_leased_again_and_again_without_its_event_ends(ready: Steps, webhook: Webhook) -> None:
    ready.rows("delete from dispatcher.events")
    ready.rows("update dispatcher.deliveries set lost_count = 50, lease_token = gen_random_uuid()")

    claim = ready.claim({webhook.id: 10})

    assert (claim.claimed, claim.failed, claim.losses) == ((), 5, 5)
    assert ready.rows("select distinct state from dispatcher.deliveries") == [("failed",)]
    assert ready.attempts(1) == [
        (51, "unknown_error", "lost"),
        (52, "unknown_error", "its event is gone"),
    ]


def test_what_is_pending_cannot_be_replayed(ready: Steps, webhook: Webhook) -> None:
    claimed = ready.claim_one(webhook.id)

    assert ready.storage.transact(deliveries.replay, claimed.id, 3) is None
    assert ready.storage.transact(deliveries.replay, 999_999, 3) is None
    assert ready.storage.transact(deliveries.why_not, claimed.id, 3) == ("pending", None)
    assert ready.delivery(claimed.id)["lease_token"] == str(claimed.lease_token)


def test_a_delivery_is_replayed_so_often_and_no_more(ready: Steps, webhook: Webhook) -> None:
    for _ in range(2):
        claimed = ready.claim_one(webhook.id)
        ready.record(claimed, "500")
        ready.rows(
            "update dispatcher.deliveries set next_attempt_at = now() + interval '1 h' where finished_on is null"
        )
        assert ready.storage.transact(deliveries.replay, claimed.id, 2) == webhook.id
    ready.record(ready.claim_one(webhook.id), "500")

    assert ready.storage.transact(deliveries.replay, claimed.id, 2) is None
    assert ready.storage.transact(deliveries.why_not, claimed.id, 2) == (
        "failed",
        "it was redelivered 2 times, the most allowed",
    )
    assert ready.storage.transact(deliveries.replay, claimed.id, 3) == webhook.id


@pytest.mark.parametrize(
    ("gone", "reason"),
    [
        ("update dispatcher.webhooks set deleted_at = now()", "its webhook was deleted"),
        ("delete from dispatcher.events", "its event is gone"),
    ],
)
def test_what_cannot_be_sent_any_more_is_not_replayed(ready: Steps, webhook: Webhook, gone: str, reason: str) -> None:
    failed = ready.claim_one(webhook.id)
    ready.record(failed, "500")
    ready.rows(gone)

    assert ready.storage.transact(deliveries.replay, failed.id, 3) is None
    assert ready.storage.transact(deliveries.why_not, failed.id, 3) == ("failed", reason)


def test_a_replay_waits_until_days_are_dropped(ready: Steps, webhook: Webhook) -> None:
    """Its event may be gone then."""
    failed = ready.claim_one(webhook.id)
    ready.record(failed, "500")
    with ready.another_session() as connection, ThreadPoolExecutor(1) as pool:
        rows(connection, "select pg_advisory_xact_lock(%(lock)s)", lock=partitions.LOCK)
        rows(connection, "delete from dispatcher.events")
        replaying = pool.submit(ready.storage.transact, deliveries.replay, failed.id, 3)
        ready.wait_for_a_waiter()
        connection.commit()
        assert replaying.result() is None

    assert ready.delivery(failed.id)["state"] == "failed"


def test_deleting_a_webhook_cancels_what_waits_and_what_is_claimed(
    ready: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    claimed = ready.claim_one(webhook.id)
    storage.transact(webhooks.delete, account.id, webhook.id)

    assert ready.rows("select distinct state, lease_token from dispatcher.deliveries") == [("cancelled", None)]
    assert ready.claim({webhook.id: 10}).claimed == ()
    assert ready.record(claimed, "500") == 0
    assert ready.delivery(claimed.id)["state"] == "cancelled"


def test_a_replay_that_meets_a_deletion_leaves_nothing_pending(
    ready: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    failed = ready.claim_one(webhook.id)
    ready.record(failed, "500")
    with ready.another_session() as connection, ThreadPoolExecutor(1) as pool:
        assert deliveries.replay(connection, failed.id, 3) == webhook.id
        deleting = pool.submit(storage.transact, webhooks.delete, account.id, webhook.id)
        ready.wait_for_a_waiter()
        connection.commit()
        deleting.result()

    assert ready.delivery(failed.id)["state"] == "cancelled"


def test_a_replay_during_a_deletion_is_refused(
    ready: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    failed = ready.claim_one(webhook.id)
    ready.record(failed, "500")
    with ready.another_session() as connection, ThreadPoolExecutor(1) as pool:
        webhooks.delete(connection, account.id, webhook.id)
        replaying = pool.submit(storage.transact, deliveries.replay, failed.id, 3)
        ready.wait_for_a_waiter()
        connection.commit()
        assert replaying.result() is None

    assert ready.delivery(failed.id)["state"] == "failed"


@pytest.fixture(scope="module")
def crowded(kept: Steps) -> Steps:
    """20,000 deliveries wait, of 400 webhooks; a tenth is due."""
    steps = kept
    steps.rows(
        "insert into dispatcher.webhooks (account_id, webhook_url, signing_secret_encrypted, events)"
        " select %(account)s, 'http://127.0.0.1', %(secret)s, '{invoice_paid}' from generate_series(1, 400)",
        account=steps.account.id,
        secret=steps.storage.secrets.close("whsec_b2xkIGtleQ=="),
    )
    steps.rows(
        "insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, next_attempt_at)"
        " select n, n, n %% 400 + 1, gen_random_uuid(), now() + make_interval(secs => n %% 1000 - 100)"
        " from generate_series(1, 20000) n"
    )
    with steps.storage.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        rows(connection, "analyze dispatcher.deliveries_waiting")
        rows(connection, "analyze dispatcher.webhooks")
    return steps


def plan_of(steps: Steps, sql: str, **parameters: Any) -> str:
    """As it is executed: where it is planned once, the plan for all parameters."""

    def explain(connection: Any) -> Any:
        execution = connection.execution(sql) if isinstance(sql, Planned) else sql
        return rows(connection, f"explain (format json, costs off) {execution}", **parameters)[0][0]

    found = steps.storage.autocommit(explain)
    return found if isinstance(found, str) else json.dumps(found)


def test_a_claim_reads_what_is_due_by_its_index_whatever_waits(crowded: Steps) -> None:
    for webhook_count in (1, 10):
        plan = plan_of(
            crowded,
            _CLAIM,
            webhook_ids=list(range(1, webhook_count + 1)),
            limits=[10] * webhook_count,
            allowed=[1] * webhook_count,
            lease_s=60,
            token="00000000-0000-0000-0000-000000000000",
        )

        assert "deliveries_due" in plan
        assert not scans_all_that_waits(plan)


def test_a_claim_looks_events_up_though_statistics_have_seen_none(fresh: Steps) -> None:
    """A burst after a quiet time: Postgres believes that the tables are empty, and once read all events for a claim."""
    fresh.analyze()
    wanting = [a_webhook(fresh.storage, fresh.account) for _ in range(3)]
    fresh.rows(
        "with made as (insert into dispatcher.events (account_id, name, body, created_at)"
        " select %(account)s, 'invoice_paid', to_json(repeat(n::text, 600)), now() from generate_series(1, 5000) n"
        " returning id)"
        " insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key)"
        " select nextval('dispatcher.delivery_id'), made.id, webhook_id, gen_random_uuid()"
        " from made cross join unnest(%(webhooks)s) webhook_id",
        account=fresh.account.id,
        webhooks=[webhook.id for webhook in wanting],
    )

    plan = plan_of(
        fresh,
        _CLAIM,
        webhook_ids=[wanting[0].id],
        limits=[200],
        allowed=[1],
        lease_s=60,
        token="00000000-0000-0000-0000-000000000000",
    )

    todays = fresh.value("select distinct relname from dispatcher.events e join pg_class c on c.oid = e.tableoid")
    assert f"{todays}_pkey" in plan
    assert f"{todays}_account_id" not in plan
    assert todays not in scanned_whole(plan)


TOKEN = "00000000-0000-8000-8000-000000000001"
PARAMETERS = {
    "webhook_ids": "{1}",
    "limits": "{10}",
    "allowed": "{1}",
    "lease_s": 60,
    "token": TOKEN,
    "limit": 500,
    "without": "{}",
    "slots": 50,
    "room": 200,
    "busy": "{}",
    "ids": "{1}",
    "tokens": f"{{{TOKEN}}}",
    "states": "{delivered}",
    "retries": "{0}",
    "urls": "{u}",
    "statuses": "{200}",
    "reasons": "{r}",
    "types": "{t}",
    "bodies": "{b}",
    "heads": "{h}",
    "started": "{1}",
    "finished": "{1}",
}


def test_what_is_planned_once_reads_nothing_whole(fresh: Steps) -> None:
    fresh.analyze()
    fresh.rows(
        "with made as (insert into dispatcher.events (account_id, name, body, created_at)"
        " select %(account)s, 'invoice_paid', '{}', now() from generate_series(1, 5000) n returning id),"
        " waiting as (insert into dispatcher.events_waiting (event_id, account_id, name)"
        " select id, %(account)s, 'invoice_paid' from made)"
        " insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key)"
        " select nextval('dispatcher.delivery_id'), id, id %% 100, gen_random_uuid() from made",
        account=fresh.account.id,
    )

    def check(statistics: str) -> None:
        for sql in (leasing._FAN_OUT, events._FAN_OUT, _CLAIM, _NEXT_DUE, deliveries._RECORD, deliveries._TARGETS):
            names = re.findall(r"%\((\w+)\)s", sql)
            scanned = scanned_whole(plan_of(fresh, sql, **{name: PARAMETERS[name] for name in names}))
            big = {table for table in scanned if table.startswith(("deliveries", "events", "attempts"))}
            assert not big, (statistics, sql)

    check("of empty tables")
    fresh.analyze()
    check("fresh")


def test_a_statement_is_planned_once_for_a_connection(storage: Storage) -> None:
    ask = Planned("select %(n)s::int + 1")

    def asked(connection: Connection) -> tuple[list[Any], int]:
        answers = [rows(connection, ask, n=n)[0][0] for n in range(3)]
        return answers, rows(connection, "select count(*) from pg_prepared_statements where name <> ''")[0][0]

    answers, count = storage.autocommit(asked)
    assert answers == [1, 2, 3]
    assert count >= 1


@pytest.mark.parametrize("way", ["autocommit", "transact"])
def test_where_a_pooler_has_forgotten_it_all_is_planned_each_time(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(planned.PlanningConnection, "is_allowed", True)
    ask = Planned("select %(n)s::int + 2")
    forgotten: list[Any] = []

    def asked(connection: Connection) -> Any:
        rows(connection, ask, n=1)
        if not forgotten:  # another session has taken this one's place
            forgotten.append(rows(connection, "deallocate all"))
        return rows(connection, ask, n=1)

    assert getattr(storage, way)(asked) == [(3,)]
    assert not planned.PlanningConnection.is_allowed
    storage.close()  # with the session that has forgotten what it had planned


def test_the_next_due_time_is_read_by_its_index_and_all_due_by_a_row_of_each_webhook(crowded: Steps) -> None:
    plan = plan_of(crowded, _NEXT_DUE, webhook_ids=list(range(1, 11)))

    assert "deliveries_due" in plan
    assert not scans_all_that_waits(plan)

    page = crowded.storage.transact(deliveries.all_due, after=0, limit=600)

    assert len(page) == 400
    plan = plan_of(crowded, deliveries._ALL_DUE, after=0, limit=400)
    assert "deliveries_due" in plan
    assert not scans_all_that_waits(plan)


def scans_all_that_waits(plan: Any) -> bool:
    return "deliveries_waiting" in scanned_whole(plan)


def scanned_whole(plan: Any) -> set[str]:
    """The tables that are read from end to end."""

    def nodes(node: Any) -> Iterator[Any]:
        yield node
        for inner in node.get("Plans", ()):
            yield from nodes(inner)

    found = nodes(json.loads(plan)[0]["Plan"])
    return {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
