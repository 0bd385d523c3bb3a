"""Replays by the API: made, followed, stopped and let go on, by the client whose webhooks they are for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.schemas.wire.fields import NOT_A_MOMENT
from tests.support.api import Api, a_delivery
from tests.support.builders import a_webhook
from tests.support.replays import step_replays

AN_HOUR_AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat()


@pytest.fixture
def failed(api: Api) -> Callable[..., int]:
    """Makes a webhook of `api` with so many deliveries that have failed; the webhook's id."""

    def make(count: int = 1, of: Api = api) -> int:
        webhook = a_webhook(of.container.storage, of.account, client_id=of.client.id)
        for _ in range(count):
            a_delivery(of, webhook.id, "failed")
        return webhook.id

    return make


def started(api: Api, **given: Any) -> Any:
    answer = api.post("/replays.json", json={"since": AN_HOUR_AGO} | given)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_one_is_made_and_followed(api: Api, failed: Callable[..., int]) -> None:
    webhook_id = failed(3)
    answer = api.post("/replays.json", json={"since": AN_HOUR_AGO, "webhook_id": webhook_id, "rate": 100})

    made = answer.json()
    assert list(made) == [
        "id", "webhook_id", "event_names", "states", "since", "until", "rate", "new_key", "missed", "state", "matched",
        "sent", "created_at", "updated_at", "finished_at",
    ]  # fmt: skip
    assert (answer.status_code, made["state"], made["matched"], made["sent"]) == (201, "running", 3, 0)
    assert (made["webhook_id"], made["event_names"], made["states"], made["rate"]) == (
        webhook_id,
        None,
        ["failed"],
        100,
    )
    assert (made["new_key"], made["missed"], made["finished_at"]) == (False, False, None)
    assert answer.headers["Location"] == f"{api.server.root}/accounts/{api.account.slug}/replays/{made['id']}.json"
    assert api.get(f"/replays/{made['id']}.json").json() == made


def test_the_workers_carry_it_on(api: Api, failed: Callable[..., int]) -> None:
    failed(3)
    made = started(api)
    step_replays(api.container)

    found = api.get(f"/replays/{made['id']}.json").json()
    assert (found["state"], found["sent"]) == ("done", 3)
    assert {one["state"] for one in api.get("/deliveries.json").json()} == {"pending"}


def test_a_dry_run_counts_and_makes_nothing(api: Api, failed: Callable[..., int]) -> None:
    failed(4)

    answer = api.post("/replays.json", json={"since": AN_HOUR_AGO, "dry_run": True})
    assert (answer.status_code, answer.json()) == (200, {"matched": 4})
    assert api.get("/replays.json").json() == []


def test_one_is_stopped_and_goes_on(api: Api, failed: Callable[..., int]) -> None:
    failed(30)
    made = started(api, new_key=True)
    path = f"/replays/{made['id']}"
    step_replays(api.container)

    assert api.delete(f"{path}.json").status_code == 204
    stopped = api.get(f"{path}.json").json()
    assert (stopped["state"], 0 < stopped["sent"] < 30) == ("stopped", True)
    assert stopped["finished_at"] is not None
    assert api.delete(f"{path}.json").status_code == 204
    assert step_replays(api.container).sent == 0
    resumed = api.post(f"{path}/resume.json")
    assert (resumed.status_code, resumed.json()["state"]) == (200, "running")


def test_they_are_listed_newest_first_and_paged(api: Api, failed: Callable[..., int]) -> None:
    ids = [started(api)["id"] for _ in range(41)][::-1]  # done at once: nothing matches

    assert [one["id"] for one in api.get("/replays.json").json()] == ids[:40]
    assert [one["id"] for one in api.get("/replays.json?page=2").json()] == ids[40:]
    assert {one["state"] for one in api.get("/replays.json").json()} == {"done"}


def test_a_client_replays_what_went_to_its_own_webhooks_only(api: Api, failed: Callable[..., int]) -> None:
    failed(2)
    other = api.another()
    theirs = failed(5, of=other)
    made = started(api)

    assert made["matched"] == 2
    assert other.get(f"/replays/{made['id']}.json").status_code == 404
    assert other.delete(f"/replays/{made['id']}.json").status_code == 404
    assert other.post(f"/replays/{made['id']}/resume.json").status_code == 404
    assert other.get("/replays.json").json() == []
    answer = api.post("/replays.json", json={"since": AN_HOUR_AGO, "webhook_id": theirs})
    assert (answer.status_code, answer.json()) == (422, {"errors": {"webhook_id": ["does not exist"]}})


def test_what_is_refused_is_told_by_field(api: Api) -> None:
    wrong: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {"since": ["can't be blank"]}),
        ({"since": "noon", "rate": -1}, {"since": [NOT_A_MOMENT], "rate": ["must be greater than 0"]}),
        ({"since": AN_HOUR_AGO, "oops": 1}, {"oops": ["Unknown field."]}),
        ({"since": AN_HOUR_AGO, "state": "running"}, {"state": ["Unknown field."]}),
        ({"since": AN_HOUR_AGO, "dry_run": 1}, {"dry_run": ["not a boolean"]}),
        ({"since": AN_HOUR_AGO, "missed": True}, {"webhook_id": ["can't be blank"]}),
        ({"since": AN_HOUR_AGO, "webhook_id": 10**40}, {"webhook_id": ["beyond 64 bits"]}),
        ({"since": AN_HOUR_AGO, "rate": 10**40}, {"rate": ["must be less than or equal to 100000"]}),
    ]
    for given, errors in wrong:
        answer = api.post("/replays.json", json=given)

        assert (answer.status_code, answer.json()) == (422, {"errors": errors}), given
    assert api.get("/replays.json").json() == []
