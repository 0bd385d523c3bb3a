"""Webhooks as API v3 has them, and what comes on top."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.model.options import OPTION_DEFAULTS
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import scalar
from dispatcher.web.app import create_app
from dispatcher.webhooks.edit import edit_webhook
from tests.support.api import AGENT, Api
from tests.support.builders import a_webhook
from tests.support.receiver import Authority
from tests.support.waiting import eventually

NOT_IN_LIST = "is not included in the list"
NEAREST = "invoice_locked or invoice_updated or invoice_removed"
ATTRIBUTES = [
    "id",
    "failed_deliveries_uuid",
    "webhook_url",
    "auth_header",
    "active",
    "events",
    "url",
    "created_at",
    "updated_at",
]
EXTRAS = [
    *(name for name in OPTION_DEFAULTS if name not in ("destination", "credentials")),  # of /api/v1 alone
    "description",
    "tags",
    "metadata",
    "payload_version",
    "rate_limit",
    "signing",
    "ordering",
    "superseding",
    "deactivated_at",
    "deactivated_reason",
    "public_key",
    "jwks_path",
]
GIVEN = {
    "webhook_url": "https://example.com/webhook",
    "auth_header": "Bearer TOKEN",
    "events": ["invoice_created", "invoice_paid"],
}


def created(api: Api, **given: Any) -> dict[str, Any]:
    answer = api.post("/webhooks.json", json=GIVEN | given)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_new_webhook_is_shown_with_the_documented_attributes_in_their_order(api: Api) -> None:
    answer = api.post("/webhooks.json", json=GIVEN)

    made = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (201, "application/json")
    assert list(made) == ATTRIBUTES
    assert {name: made[name] for name in GIVEN} == GIVEN
    assert made["active"] is True
    assert answer.headers["Location"] == made["url"]
    assert made["url"] == f"{api.server.root}/accounts/{api.account.slug}/webhooks/{made['id']}.json"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0[12]:00", made["created_at"])


def test_wildcards_are_shown_as_the_events_they_stand_for_and_kept(api: Api, container: Container) -> None:
    made = created(api)
    url, slug = f"/webhooks/{made['id']}.json", api.account.slug
    stored = "select events from dispatcher.webhooks where id = %(id)s"
    edit_webhook(container.storage, container.schedule, slug, made["id"], {"events": ["*_paid"]})

    shown = api.get(url).json()
    assert shown["events"] == ["invoice_paid", "expense_paid"]
    assert api.patch(url, json={"active": False, "events": shown["events"]}).status_code == 200
    assert api.patch(url, json={"events": [*reversed(shown["events"])]}).status_code == 200
    assert container.storage.read(scalar, stored, id=made["id"]) == ["*_paid"]
    assert api.patch(url, json={"events": ["*_paid"]}).status_code == 422
    assert api.patch(url, json={"events": ["invoice_paid"]}).json()["events"] == ["invoice_paid"]


def test_it_is_found_where_its_url_says(api: Api) -> None:
    made = created(api)

    assert api.get(f"/webhooks/{made['id']}.json").json() == made
    assert api.get("/webhooks.json").json() == [made]


def test_a_change_leaves_the_rest_and_moves_updated_at(api: Api) -> None:
    made = created(api)

    answer = api.patch(f"/webhooks/{made['id']}.json", json={"active": False})

    changed = answer.json()
    assert answer.status_code == 200
    assert changed["active"] is False
    assert {name: changed[name] for name in ATTRIBUTES if name not in ("active", "updated_at")} == {
        name: made[name] for name in ATTRIBUTES if name not in ("active", "updated_at")
    }
    assert datetime.fromisoformat(changed["updated_at"]) > datetime.fromisoformat(made["updated_at"])


def test_an_auth_header_is_removed_by_null_and_by_an_empty_text(api: Api) -> None:
    made = created(api)
    assert api.patch(f"/webhooks/{made['id']}.json", json={"auth_header": None}).json()["auth_header"] is None
    assert created(api, auth_header="")["auth_header"] is None


def test_a_deleted_webhook_is_gone_and_what_waits_for_it_cancelled(api: Api) -> None:
    made = created(api)
    api.sql("insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key) "
            "values (nextval('dispatcher.delivery_id'), 1, %(id)s, gen_random_uuid())", id=made["id"])  # fmt: skip

    answer = api.delete(f"/webhooks/{made['id']}.json")

    assert (answer.status_code, answer.content, "Content-Type" in answer.headers) == (204, b"", False)
    assert api.get(f"/webhooks/{made['id']}.json").status_code == 404
    assert api.delete(f"/webhooks/{made['id']}.json").status_code == 404
    assert api.get("/webhooks.json").json() == []
    assert api.sql("select state from dispatcher.deliveries where webhook_id = %(id)s", id=made["id"]) == [
        ("cancelled",)
    ]


def test_pages_have_forty_and_the_one_past_the_end_is_empty(api: Api) -> None:
    ids = [
        a_webhook(api.container.storage, api.account, client_id=api.client.id, events=["invoice_paid"]).id
        for _ in range(41)
    ]

    pages = [api.get("/webhooks.json", params={"page": page}).json() for page in (1, 2, 3)]

    assert [[one["id"] for one in page] for page in pages] == [ids[:40], ids[40:], []]
    assert api.get("/webhooks.json", params={"page": 10**15}).json() == []
    assert api.get("/webhooks.json").json() == pages[0]


def test_a_client_sees_its_own_webhooks_only(api: Api) -> None:
    mine, by_command = created(api), a_webhook(api.container.storage, api.account)
    other = api.another()
    theirs = created(other)

    assert [one["id"] for one in api.get("/webhooks.json").json()] == [mine["id"]]
    assert [one["id"] for one in other.get("/webhooks.json").json()] == [theirs["id"]]
    for id_ in (theirs["id"], by_command.id):
        for answer in (
            api.get(f"/webhooks/{id_}.json"),
            api.patch(f"/webhooks/{id_}.json", json={"active": False}),
            api.delete(f"/webhooks/{id_}.json"),
        ):
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert other.get(f"/webhooks/{theirs['id']}.json").json()["active"] is True


INVALID: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"events": []}, {"events": ["can't be empty"]}),
    ({"events": None}, {"events": ["can't be empty"]}),
    ({"events": ["invoice_exploded"]}, {"events": [f'{NOT_IN_LIST}: "invoice_exploded"; did you mean {NEAREST}?']}),
    ({"events": "invoice_paid"}, {"events": ["is invalid"]}),
    ({"events": {"invoice_paid": 1}}, {"events": ["is invalid"]}),
    ({"events": [["invoice_paid"], 1, None]}, {"events": ["is invalid"]}),
    ({"webhook_url": ""}, {"webhook_url": ["can't be blank"]}),
    ({"webhook_url": None}, {"webhook_url": ["can't be blank"]}),
    ({"webhook_url": "ftp://example.com"}, {"webhook_url": ["is invalid"]}),
    ({"webhook_url": "https://example.com/\0"}, {"webhook_url": ["is invalid"]}),
    ({"webhook_url": "https://example.com/\ud800"}, {"webhook_url": ["is invalid"]}),
    ({"webhook_url": {"a": [1]}}, {"webhook_url": ["is invalid"]}),
    ({"webhook_url": "https://example.com/" + "x" * 100_000}, {"webhook_url": ["is invalid"]}),
    ({"auth_header": "a\nb"}, {"auth_header": ["is invalid"]}),
    ({"auth_header": 5}, {"auth_header": ["is invalid"]}),
    ({"active": None}, {"active": [f"{NOT_IN_LIST}; allowed: true, false"]}),
    ({"id": 5}, {"id": ["Unknown field."]}),
    ({"surplus": 5}, {"surplus": ["Unknown field."]}),
    ({"description": "x" * 1_001}, {"description": ["is too long (maximum is 1000 characters)"]}),
    ({"description": "\0"}, {"description": ["is invalid"]}),
    ({"payload_version": "v4"}, {"payload_version": [f'{NOT_IN_LIST}: "v4"; allowed: v3, legacy']}),
    ({"payload_version": 3}, {"payload_version": [f"{NOT_IN_LIST}; allowed: v3, legacy"]}),
    ({"payload_version": "legacy"}, {"events": ["must be among invoice_overdue, invoice_paid for a legacy payload"]}),
    ({"rate_limit": 0}, {"rate_limit": ["must be greater than 0"]}),
    ({"rate_limit": 10**30}, {"rate_limit": ["must be less than or equal to 100000"]}),
    ({"rate_limit": "5"}, {"rate_limit": ["is not a number"]}),
    ({"rate_limit": 1.5}, {"rate_limit": ["is not a number"]}),
    ({"signing": "maybe"}, {"signing": [f'{NOT_IN_LIST}: "maybe"; allowed: standard, none']}),
    ({"events": [], "webhook_url": ""}, {"events": ["can't be empty"], "webhook_url": ["can't be blank"]}),
]


def test_invalid_data_are_told_by_field_on_create_and_on_change(api: Api) -> None:
    made = created(api)

    for given, messages in INVALID:
        for answer in (
            api.post("/webhooks.json", json=GIVEN | given),
            api.patch(f"/webhooks/{made['id']}.json", json=given),
        ):
            assert (answer.status_code, answer.json()) == (422, {"errors": messages}), str(given)[:100]
    assert api.get("/webhooks.json").json() == [made]


def test_an_empty_object_lacks_what_is_required(api: Api) -> None:
    answer = api.post("/webhooks.json", json={})

    assert answer.json() == {"errors": {"webhook_url": ["can't be blank"], "events": ["can't be empty"]}}


def test_repeated_events_count_once(api: Api) -> None:
    assert created(api, events=["invoice_paid", "invoice_paid"])["events"] == ["invoice_paid"]


def test_extras_are_accepted_on_write_and_shown_when_asked_for(api: Api) -> None:
    extras = {"description": "for the books", "payload_version": "legacy", "rate_limit": 5, "signing": "none"}
    made = created(api, **extras, events=["invoice_paid"])
    assert list(made) == ATTRIBUTES

    path = f"/webhooks/{made['id']}.json"
    shown = api.get(path, params={"include": "extras"}).json()
    assert list(shown) == ATTRIBUTES + EXTRAS
    assert {name: shown[name] for name in extras} == extras
    assert api.get("/webhooks.json", params={"include": "extras"}).json() == [shown]
    changed = api.patch(path, params={"include": "extras"}, json={"rate_limit": None, "description": None}).json()
    assert (changed["rate_limit"], changed["description"], changed["signing"]) == (None, None, "none")
    assert list(api.post("/webhooks.json?include=extras", json=GIVEN).json()) == ATTRIBUTES + EXTRAS


def test_a_secret_header_is_not_shown_and_kept_by_its_name(api: Api, container: Container, account: Account) -> None:
    made = created(api, headers={"X-Env": "test"}, secret_headers={"X-Key": "s3cret", "X-Old": "gone"})
    path = f"/webhooks/{made['id']}.json?include=extras"
    assert api.get(path).json()["secret_headers"] == {"X-Key": None, "X-Old": None}

    changed = api.patch(path, json={"secret_headers": {"X-Key": None, "X-New": "n3w"}})

    assert changed.json()["secret_headers"] == {"X-Key": None, "X-New": None}
    assert changed.json()["headers"] == {"X-Env": "test"}
    storage = container.storage
    stored = storage.read(webhooks.find, storage.secrets, account.id, made["id"])
    assert stored.secret_headers == {"X-Key": "s3cret", "X-New": "n3w"}
    answer = api.patch(path, json={"secret_headers": {"X-Unknown": None}, "headers": {"Host": "x"}})
    assert answer.status_code == 422
    assert answer.json()["errors"] == {
        "headers": ['"Host" is reserved'],
        "secret_headers": ['the value of "X-Unknown" must be one line of 0 to 4,096 printable ASCII characters'],
    }


def test_a_client_and_a_certificate_are_shown_without_their_secrets(api: Api) -> None:
    certificate, key = Authority().client("ours.test")
    client = {"token_url": "https://auth.example.com/", "client_id": "us", "client_secret": "s3cret"}
    pair = {"certificate": certificate, "private_key": key}
    made = created(api, auth_header=None, oauth2=client, client_certificate=pair)
    path = f"/webhooks/{made['id']}.json?include=extras"

    answer = api.get(path)
    shown = answer.json()
    changed = api.patch(path, json={"oauth2": {"token_url": "https://evil.example/", "client_id": "us"}})

    assert shown["oauth2"]["client_id"] == "us"
    assert shown["client_certificate"]["certificate"] == certificate
    assert shown["client_certificate"]["expires_at"] > shown["created_at"]
    assert "s3cret" not in answer.text
    assert "PRIVATE" not in answer.text
    assert changed.status_code == 422
    assert changed.json()["errors"] == {"oauth2": ["client_secret: is missing"]}
    assert "PRIVATE" not in api.patch(path, json={"client_certificate": {"certificate": key, "private_key": "x"}}).text
    removed = api.patch(path, json={"oauth2": None, "client_certificate": None}).json()
    assert (removed["oauth2"], removed["client_certificate"]) == (None, None)


def test_a_list_is_narrowed_by_a_tag(api: Api) -> None:
    one = created(api, tags=["billing", "eu"], metadata={"crm_id": "4711"})
    created(api, tags=["eu"])
    created(api)

    tagged = api.get("/webhooks.json?include=extras&tag=billing").json()

    assert [(hook["id"], hook["tags"], hook["metadata"]) for hook in tagged] == [
        (one["id"], ["billing", "eu"], {"crm_id": "4711"})
    ]
    assert len(api.get("/webhooks.json?tag=eu").json()) == 2
    assert api.get("/webhooks.json?tag=%00").json() == []
    edited = api.patch(f"/webhooks/{one['id']}.json?include=extras", json={"tags": [], "metadata": {}}).json()
    assert (edited["tags"], edited["metadata"]) == ([], {})


def test_another_include_is_refused(api: Api) -> None:
    assert api.get("/webhooks.json", params={"include": "secrets"}).status_code == 400


def test_urls_are_those_of_the_public_address_where_there_is_one(api: Api, container: Container) -> None:
    public = Container(replace(container.settings, public_url="https://hooks.example.com/"))
    headers = {"Authorization": f"Bearer {api.token}", "User-Agent": AGENT}

    path = f"/api/v3{api.path('/webhooks.json')}"
    answer = create_app(public).test_client().post(path, json=GIVEN, headers=headers)
    public.close()

    root = f"https://hooks.example.com/api/v3/accounts/{api.account.slug}/webhooks/"
    made = answer.get_json()
    assert answer.headers["Location"] == made["url"] == f"{root}{made['id']}.json"


def test_a_client_revoked_in_the_middle_leaves_no_webhook_behind(api: Api) -> None:
    api.sql("update dispatcher.clients set revoked_at = now() where id = %(id)s", id=api.client.id)

    assert api.post("/webhooks.json", json=GIVEN).status_code == 401


def test_changes_that_come_at_once_are_all_kept(api: Api) -> None:
    webhook = created(api)
    path = f"/webhooks/{webhook['id']}.json"
    waiting = "select from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.query like %(q)s"
    with ThreadPoolExecutor(2) as pool:
        with api.container.storage.transaction() as connection:
            connection.exec_driver_sql(f"select from dispatcher.webhooks where id = {webhook['id']} for update")
            answers = [
                pool.submit(api.patch, path, json=one) for one in ({"description": "Warehouse"}, {"tags": ["eu"]})
            ]
            eventually(lambda: len(api.sql(waiting, q="%dispatcher.webhooks%")) == 2, what="both waiting for the row")
        assert [answer.result().status_code for answer in answers] == [200, 200]

    edited = api.sql("select description, tags from dispatcher.webhooks where id = %(id)s", id=webhook["id"])
    assert edited == [("Warehouse", ["eu"])]
