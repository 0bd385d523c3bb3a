"""Deliveries: listed, shown and sent again, by the client whose webhooks they are for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from dispatcher.model.attempt import NO_ADDRESS
from dispatcher.schedule.schedule import Release
from dispatcher.storage.pipeline import events
from dispatcher.storage.reads.delivery_pages import SCANS
from tests.support.api import Api
from tests.support.builders import a_body, a_history, a_webhook, an_event


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Makes deliveries as a worker would, without one: `api` is whose they are."""

    api: Api

    def webhook(self, *names: str, api: Api | None = None) -> Any:
        client = (api or self.api).client
        events = names or ("invoice_paid", "invoice_sent")
        return a_webhook(self.api.container.storage, self.api.account, events=events, client_id=client.id)

    def make(self, *names: str) -> list[int]:
        """One event of each name, fanned out; the ids of the deliveries, oldest first."""
        self.api.container.emitter.emit(self.api.account, [an_event(name) for name in names or ("invoice_paid",)])
        self.api.container.storage.transact(events.fan_out, 100_000)
        found = self.api.sql(
            "select d.id from dispatcher.deliveries d join dispatcher.webhooks w on w.id = d.webhook_id"
            " where w.account_id = %(id)s order by d.id",
            id=self.api.account.id,
        )
        return [id_ for (id_,) in found]

    def finish(self, id_: int, state: str = "delivered", status: str = "200") -> None:
        self.api.sql(
            "update dispatcher.deliveries"
            " set state = %(state)s, finished_on = current_date, attempt_count = attempt_count + 1"
            " where id = %(id)s",
            id=id_,
            state=state,
        )
        self.api.sql(
            "insert into dispatcher.attempts (delivery_id, number, request_id, url, status, content_type, body,"
            " started_at,"
            " finished_at) values (%(id)s, 1, gen_random_uuid(), 'http://127.0.0.1:9/hook', %(status)s, 'text/plain',"
            " 'oh', now() - interval '20 ms', now())",
            id=id_,
            status=status,
        )


@pytest.fixture
def made(api: Api) -> Deliveries:
    return Deliveries(api)


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()]


def test_no_delivery_tells_which_names_there_are_in_the_network_behind(api: Api, made: Deliveries) -> None:
    webhook = made.webhook()
    (id_,) = made.make()
    made.finish(id_, "failed")
    change = "update dispatcher.attempts set status = %(status)s, reason = %(reason)s where delivery_id = %(id)s"

    for status, reason in (("blocked_address", "the address is not a public one"), ("connection_failed", NO_ADDRESS)):
        api.sql(change, status=status, reason=reason, id=id_)

        shown = api.get(f"/deliveries/{id_}.json").json()
        assert shown["last_response_status"] == "connection_failed"
        (attempt,) = shown["attempts"]
        assert (attempt["response_status"], attempt["reason"]) == (
            "connection_failed", "the host has no address that may be connected to"
        )  # fmt: skip
        assert api.get("/deliveries.json").json()[0]["last_response_status"] == "connection_failed"
        (failed,) = api.get(f"/webhooks/{webhook.failed_deliveries_uuid}/failed_deliveries.json").json()
        assert failed["deliveries"][0]["response_status"] == "connection_failed"


def test_a_list_tells_of_each_what_became_of_it(api: Api, made: Deliveries) -> None:
    webhook = made.webhook()
    first, second = made.make("invoice_paid", "invoice_sent")
    made.finish(first, "failed", "500")

    waiting, failed = api.get("/deliveries.json").json()
    assert list(failed) == [
        "id", "idempotency_key", "event_id", "event_name", "webhook_id", "url", "state", "attempt_count",
        "last_response_status", "next_attempt_at", "created_at", "updated_at",
    ]  # fmt: skip
    assert (failed["id"], failed["state"], failed["last_response_status"]) == (first, "failed", "500")
    assert (failed["attempt_count"], failed["next_attempt_at"]) == (1, None)
    assert (failed["webhook_id"], failed["url"]) == (webhook.id, webhook.webhook_url)
    assert (waiting["id"], waiting["state"], waiting["attempt_count"]) == (second, "pending", 0)
    assert waiting["last_response_status"] is None
    assert datetime.fromisoformat(waiting["next_attempt_at"])


def test_it_is_paged_by_the_last_id(api: Api, made: Deliveries) -> None:
    made.webhook()
    all_ids = made.make(*["invoice_paid"] * 41)[::-1]

    assert ids(api.get("/deliveries.json")) == all_ids[:40]
    assert ids(api.get(f"/deliveries.json?before={all_ids[39]}")) == all_ids[40:]
    assert ids(api.get(f"/deliveries.json?before={all_ids[40]}")) == []
    assert ids(api.get("/deliveries.json?before=0")) == []
    assert ids(api.get(f"/deliveries.json?before={'9' * 30}")) == all_ids[:40]


def test_the_next_page_is_linked_to_and_the_last_one_links_to_none(api: Api, made: Deliveries) -> None:
    made.webhook()
    all_ids = made.make(*["invoice_paid"] * 80)[::-1]

    first = api.get("/deliveries.json?state=pending")
    second = api.get(f"/deliveries.json{first.links['next']['url']}")

    assert first.headers["Link"] == f'<?state=pending&before={all_ids[39]}>; rel="next"'
    assert ids(first) + ids(second) == all_ids
    assert "Link" not in second.headers


def test_a_page_of_a_rare_event_may_be_empty_and_links_to_where_it_is(api: Api, made: Deliveries) -> None:
    made.webhook()
    rare, often = made.make("invoice_sent", "invoice_paid")
    a_history(api.container.storage, often, sum(SCANS) + 1_000)

    first = api.get("/deliveries.json?event_name=invoice_sent")
    second = api.get(f"/deliveries.json{first.links['next']['url']}")

    assert (ids(first), ids(second)) == ([], [rare])
    assert "Link" not in second.headers
    assert len(ids(api.get("/deliveries.json?event_name=invoice_paid"))) == 40


def test_it_is_narrowed(api: Api, made: Deliveries) -> None:
    first_hook, second_hook = made.webhook("invoice_paid"), made.webhook("invoice_sent")
    paid, sent = made.make("invoice_paid", "invoice_sent")
    made.finish(paid, "failed", "500")
    shown = api.get("/deliveries.json").json()

    def found(**query: Any) -> list[int]:
        return ids(api.get("/deliveries.json", params=query))

    assert found(webhook_id=first_hook.id) == [paid]
    assert found(webhook_id=second_hook.id, event_name="invoice_paid") == []
    assert found(event_name="invoice_sent") == [sent]
    assert found(state="failed") == [paid]
    assert found(state="pending") == [sent]
    assert found(state="delivered") == []
    assert found(idempotency_key=shown[1]["idempotency_key"]) == [paid]
    assert found(idempotency_key=str(uuid4())) == []
    created = datetime.fromisoformat(shown[1]["created_at"])
    assert found(since=(created - timedelta(minutes=1)).isoformat()) == [sent, paid]
    assert found(since=(created + timedelta(minutes=1)).isoformat()) == []
    assert found(until=(created + timedelta(minutes=1)).isoformat(), state="failed") == [paid]
    assert found(until=created.isoformat()) == []
    assert found(webhook_id="9" * 30) == []


def test_a_query_that_says_nothing_is_malformed(api: Api) -> None:
    for query in (
        "before=x", "before=-1", "webhook_id=1.5", "event_name=invoice_eaten", "state=lost", "since=noon", "until=2024",
        "idempotency_key=17", "state=", "before=%00", "idempotency_key=%FF", "before=٣",
    ):  # fmt: skip
        answer = api.get(f"/deliveries.json?{query}")

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), query


def test_one_is_shown_with_what_was_sent_and_its_attempts(api: Api, made: Deliveries) -> None:
    webhook = made.webhook()
    (id_,) = made.make()
    made.finish(id_)

    shown = api.get(f"/deliveries/{id_}.json").json()
    assert list(shown["body"]) == ["webhook_id", "event_name", "created_at", "body"]
    assert (shown["body"]["webhook_id"], shown["body"]["body"]) == (webhook.id, a_body())
    (attempt,) = shown["attempts"]
    assert list(attempt) == [
        "id", "number", "request_id", "response_status", "reason", "response_content_type", "response_body",
        "response_headers", "started_at", "finished_at",
    ]  # fmt: skip
    assert (attempt["number"], attempt["response_status"], attempt["response_body"]) == (1, "200", "oh")
    assert api.get(f"/deliveries/{shown['idempotency_key']}.json").json() == shown


def test_one_whose_event_is_gone_is_shown_and_cannot_be_sent_again(api: Api, made: Deliveries) -> None:
    made.webhook()
    (id_,) = made.make()
    made.finish(id_, "failed", "500")
    api.sql(
        "delete from dispatcher.events where id = (select event_id from dispatcher.deliveries where id = %(id)s)",
        id=id_,
    )

    shown = api.get(f"/deliveries/{id_}.json").json()
    assert (shown["event_name"], shown["body"]["body"], shown["state"]) == ("unknown", {}, "failed")
    answer = api.post(f"/deliveries/{id_}/redeliver.json")
    assert answer.status_code == 422
    assert answer.json() == {"errors": {"state": ["is failed and cannot become pending: its event is gone"]}}


def test_a_finished_one_is_sent_again(api: Api, made: Deliveries) -> None:
    made.webhook()
    (id_,) = made.make()
    made.finish(id_, "failed", "500")

    answer = api.post(f"/deliveries/{id_}/redeliver.json")
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    assert len(answer.json()["attempts"]) == 1
    assert api.container.schedule.first_due() is not None

    again = api.post(f"/deliveries/{id_}/redeliver.json")
    assert again.status_code == 422
    assert again.json() == {"errors": {"state": ["is pending and cannot become pending"]}}


def test_a_pending_one_is_attempted_now_before_all_that_are_due(api: Api, made: Deliveries) -> None:
    webhook = made.webhook()
    first, second = made.make("invoice_paid", "invoice_sent")
    parts = api.container
    parts.schedule.release([Release(webhook_id=webhook.id, pause_s=300.0)], "1/x")
    api.sql("update dispatcher.deliveries set next_attempt_at = now() + interval '1 hour', attempt_count = 1 "
            "where id = %(id)s", id=second)  # fmt: skip
    assert api.get(f"/deliveries/{second}.json").json()["waiting"]["reason"] == "paused"

    answer = api.post(f"/deliveries/{second}/retry.json")

    assert (answer.status_code, answer.json()["waiting"]["reason"], answer.json()["attempt_count"]) == (202, "due", 0)
    assert "behind 1 delivery" in api.get(f"/deliveries/{first}.json").json()["waiting"]["text"]
    assert parts.schedule.pauses().get(webhook.id) is None
    assert api.sql("select actor_kind from dispatcher.audit_log where action = 'delivery.retried' and subject = %(id)s",
                   id=str(second)) == [("client",)]  # fmt: skip


def test_one_that_cannot_be_sent_now_is_not(api: Api, made: Deliveries) -> None:
    webhook = made.webhook()
    inactive, leased, held_back, delivered = made.make(*["invoice_paid"] * 4)
    change = "update dispatcher.deliveries set {} where id = %(id)s"
    api.sql(change.format("state = 'delivered', finished_on = current_date"), id=delivered)
    api.sql(change.format("next_attempt_at = '9999-12-31 00:00+00'"), id=held_back)
    api.sql(change.format("lease_token = gen_random_uuid()"), id=leased)

    def refused(id_: int) -> str:
        answer = api.post(f"/deliveries/{id_}/retry.json")
        assert answer.status_code == 422
        (text,) = answer.json()["errors"]["state"]
        return str(text).lower()

    assert "a worker is sending this delivery" in refused(leased)
    assert "held back behind" in refused(held_back)
    assert "redeliver it instead" in refused(delivered)
    api.sql("update dispatcher.webhooks set active = false where id = %(id)s", id=webhook.id)
    assert "the webhook is inactive" in refused(inactive)


def test_one_that_was_sent_again_as_often_as_is_allowed_is_not(api: Api, made: Deliveries) -> None:
    made.webhook()
    (id_,) = made.make()
    made.finish(id_, "failed", "500")
    api.sql("update dispatcher.deliveries set redelivery_count = 100 where id = %(id)s", id=id_)

    answer = api.post(f"/deliveries/{id_}/redeliver.json")
    assert answer.status_code == 422
    assert answer.json() == {
        "errors": {"state": ["is failed and cannot become pending: it was redelivered 100 times, the most allowed"]}
    }
    replay = {"since": "2020-01-01T00:00:00Z", "dry_run": True}
    assert api.post("/replays.json", json=replay).json() == {"matched": 0}
    assert api.post("/replays.json", json=replay | {"new_key": True}).json() == {"matched": 1}


def test_what_there_is_not_is_not_found(api: Api) -> None:
    for name in ("0", "9" * 40, "-1", "x", "%00", "%FF", "018f3c1e-9b6a-7cc4-8000-00000000ffff", "٣"):
        for method, path in (("GET", f"/deliveries/{name}.json"), ("POST", f"/deliveries/{name}/redeliver.json")):
            answer = api.call(method, path)
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found"), path


def test_another_clients_deliveries_are_nowhere(api: Api, made: Deliveries) -> None:
    webhook = made.webhook()
    (id_,) = made.make()
    made.finish(id_)
    other = api.another()

    assert ids(other.get("/deliveries.json")) == []
    assert ids(other.get(f"/deliveries.json?webhook_id={webhook.id}")) == []
    assert other.get(f"/deliveries/{id_}.json").status_code == 404
    assert other.post(f"/deliveries/{id_}/redeliver.json").status_code == 404
    assert ids(api.get("/deliveries.json")) == [id_]


def test_those_to_a_deleted_webhook_are_still_listed(api: Api, made: Deliveries) -> None:
    webhook = made.webhook()
    (id_,) = made.make()
    made.finish(id_, "failed", "500")
    assert api.delete(f"/webhooks/{webhook.id}.json").status_code == 204

    assert ids(api.get("/deliveries.json")) == [id_]
    assert api.post(f"/deliveries/{id_}/redeliver.json").status_code == 422


def test_they_need_the_scope(api: Api) -> None:
    without = api.another("webhooks", "events:read", "events:write")

    for method, path in (
        ("GET", "/deliveries.json"),
        ("GET", "/deliveries/1.json"),
        ("POST", "/deliveries/1/redeliver.json"),
        ("POST", "/deliveries/1/retry.json"),
    ):
        assert without.call(method, path).status_code == 403
