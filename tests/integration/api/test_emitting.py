"""`POST /accounts/{slug}/events.json`: one event or many, all or none, answered once they are committed."""

import json
from datetime import datetime
from typing import Any

from dispatcher.container import Container
from dispatcher.schemas.wire.fields import NOT_A_MOMENT
from tests.support.api import Api
from tests.support.builders import a_body, an_account

PAID = {"name": "invoice_paid", "body": a_body()}
SMALL = {"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 2}}}


def emit(api: Api, given: Any, **options: Any) -> Any:
    return api.post("/events.json", json=given, **options)


def errors(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 422
    found: dict[str, list[str]] = answer.json()["errors"]
    return found


def stored(api: Api) -> list[Any]:
    return api.sql("select id, name from dispatcher.events where account_id = %(id)s order by id", id=api.account.id)


def test_an_event_is_answered_once_it_is_committed(api: Api) -> None:
    answer = emit(api, PAID)

    assert answer.status_code == 202
    shown = answer.json()
    assert list(shown) == ["id", "name", "created_at", "new"]
    assert (shown["name"], shown["new"]) == ("invoice_paid", True)
    assert stored(api) == [(shown["id"], "invoice_paid")]
    assert api.sql("select 1 from dispatcher.events_waiting where event_id = %(id)s", id=shown["id"])


def test_what_is_stored_is_what_a_service_in_python_would_store(api: Api) -> None:
    shown = emit(api, PAID).json()

    ((body,),) = api.sql("select body::text from dispatcher.events where id = %(id)s", id=shown["id"])
    assert json.loads(body) == a_body()


def test_many_are_answered_in_their_order(api: Api) -> None:
    answer = emit(api, [SMALL, PAID, SMALL])

    assert answer.status_code == 202
    assert [(one["id"], one["name"]) for one in answer.json()] == stored(api)
    assert [one["name"] for one in answer.json()] == [
        "inbox_file_removed_all",
        "invoice_paid",
        "inbox_file_removed_all",
    ]


def test_a_thousand_are_taken_and_one_more_is_not(api: Api) -> None:
    assert len(emit(api, [SMALL] * 1_000).json()) == 1_000

    answer = emit(api, [SMALL] * 1_001)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert len(stored(api)) == 1_000


def test_a_second_emit_of_a_key_stands_for_the_first_event(api: Api) -> None:
    for key, given, headers in (("a", SMALL, {"Idempotency-Key": "a"}), ("b", SMALL | {"idempotency_key": "b"}, {})):
        first, again = (emit(api, given, headers=headers).json() for _ in range(2))

        assert (first["new"], again["new"], again["id"]) == (True, False, first["id"]), key
    assert len(stored(api)) == 2


def test_the_header_and_the_events_own_key_are_the_same_one(api: Api) -> None:
    keyed = SMALL | {"idempotency_key": "a"}

    assert emit(api, keyed, headers={"Idempotency-Key": "a"}).status_code == 202
    assert emit(api, keyed, headers={"Idempotency-Key": "b"}).status_code == 400
    assert emit(api, [keyed], headers={"Idempotency-Key": "a"}).status_code == 400


def test_each_of_many_has_a_key_of_its_own(api: Api) -> None:
    keyed = [SMALL | {"idempotency_key": key} for key in ("a", "b", "a")]

    shown = emit(api, keyed).json()
    assert [one["new"] for one in shown] == [True, True, False]
    assert shown[2]["id"] == shown[0]["id"]


def test_two_accounts_keys_do_not_meet(api: Api, container: Container) -> None:
    other = Api.of(api.server, container, an_account(container.storage, f"{api.account.slug}-b"))
    ids = {emit(each, SMALL | {"idempotency_key": "same"}).json()["id"] for each in (api, other)}

    assert len(ids) == 2


EATEN = "did you mean invoice_created or invoice_updated or invoice_sent?"
LISTED = "the catalogue (event_types.json) lists them all"


def test_it_may_say_when_it_happened(api: Api) -> None:
    shown = emit(api, SMALL | {"created_at": "2024-06-13T12:06:20.924Z"}).json()

    assert shown["created_at"] == "2024-06-13T14:06:20.924+02:00"
    (row,) = api.sql("select created_at from dispatcher.events where id = %(id)s", id=shown["id"])
    assert row[0] == datetime.fromisoformat(shown["created_at"])


def test_any_offset_of_iso_8601_is_fine(api: Api) -> None:
    shown = emit(api, SMALL | {"created_at": "2024-06-13T12:06:20+18:45"}).json()  # Postgres takes less than 16 h

    assert shown["created_at"] == "2024-06-12T19:21:20.000+02:00"


def test_what_is_wrong_is_told_by_path(api: Api) -> None:
    wrong: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"name": None}, {"name": ["can't be blank"]}),
        ({"name": "invoice_eaten"}, {"name": [f'is not included in the list: "invoice_eaten"; {EATEN}']}),
        ({"name": ["zzz"]}, {"name": [f"is not included in the list: \"['zzz']\"; {LISTED}"]}),
        ({"body": None}, {"body": ["can't be blank"]}),
        ({"body": []}, {"body": ["not an object"]}),
        ({"body": {}}, {"body.inbox_files": ["missing from the body"]}),
        ({"body": {"inbox_files": {"count": "2"}}}, {"body.inbox_files.count": ["not an integer"]}),
        ({"body": {"inbox_files": {"count": 2, "x": 1}}}, {"body.inbox_files.x": ["unknown attribute"]}),
        ({"body": {"inbox_files": {"count": 2}, "": 1}}, {"body": ["unknown key of the body"]}),
        ({"colour": "red"}, {"colour": ["unknown attribute"]}),
        ({"\ud800": 1}, {"\\ud800": ["unknown attribute"]}),
        ({"idempotency_key": 17}, {"idempotency_key": ["not a string"]}),
        ({"idempotency_key": ""}, {"idempotency_key": ["must have 1 to 255 characters"]}),
        ({"idempotency_key": "a\0"}, {"idempotency_key": ["must have printable characters only"]}),
        ({"created_at": "noon"}, {"created_at": [f'{NOT_A_MOMENT}: "noon"']}),
        ({"created_at": 17}, {"created_at": [f'{NOT_A_MOMENT}: "17"']}),
        ({"created_at": "2024-06-13"}, {"created_at": ["needs a time zone, such as datetime.now(timezone.utc)"]}),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, {"created_at": ["out of range"]}),
        ({"created_at": "9999-12-31T23:59:59-14:00"}, {"created_at": ["out of range"]}),
    ]
    for change, expected in wrong:
        assert errors(emit(api, SMALL | change)) == expected
        assert errors(emit(api, [SMALL, SMALL | change])) == {f"[1].{path}": texts for path, texts in expected.items()}
    assert stored(api) == []


def test_every_problem_of_every_event_is_told_and_nothing_stored(api: Api) -> None:
    answer = emit(
        api,
        [
            SMALL,
            {"name": "x"},
            17,
            PAID | {"body": {"invoice": {"id": "93", "total": "much"}, "payment": {"id": 1}}},
            SMALL | {"created_at": "2024-06-13T12:00:00"},
        ],
    )

    assert errors(answer) == {
        "[1].name": [f'is not included in the list: "x"; {LISTED}'],
        "[1].body": ["can't be blank"],
        "[2]": ["not an object"],
        "[3].body.invoice.id": ["not an integer"],
        "[3].body.invoice.total": ["not a decimal"],
        "[4].created_at": ["needs a time zone, such as datetime.now(timezone.utc)"],
    }
    assert stored(api) == []


def test_the_errors_of_one_answer_have_an_end(api: Api) -> None:
    nonsense = {f"x{number}": 1 for number in range(20_000)}

    assert len(errors(emit(api, SMALL | {"body": {"inbox_files": nonsense}}))) == 1_000


def test_what_is_no_event_is_malformed(api: Api) -> None:
    malformed: list[Any] = [[], "text", 17, None, True]
    for given in malformed:
        answer = emit(api, given)

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), given


def test_a_body_of_more_than_5_mib_is_refused(api: Api) -> None:
    text = json.dumps(SMALL | {"body": {"inbox_files": {"count": 1}, "x": "x" * (10 << 20)}})

    answer = api.post("/events.json", data=text, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")
    assert emit(api, SMALL).status_code == 202


def test_it_needs_the_scope(api: Api) -> None:
    assert emit(api.another("events:read"), SMALL).status_code == 403
