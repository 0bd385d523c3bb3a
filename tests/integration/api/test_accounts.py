"""The account, its people, and who the token's user is."""

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.storage.admin import accounts
from tests.support.api import Api, Server
from tests.unit.schemas.facts import HTTP


def test_the_account_has_every_documented_attribute_in_order(api: Api, account: Account) -> None:
    shown = api.get("/account.json").json()

    assert list(shown) == HTTP["Account"]
    assert (shown["subdomain"], shown["name"]) == (account.slug, account.slug)
    assert (shown["currency"], shown["vat_rate"], shown["invoice_email"]) == ("CZK", 21, None)


def test_the_accounts_settings_take_the_place_of_defaults(api: Api, account: Account) -> None:
    api.sql(
        """update dispatcher.accounts
set settings = '{"name": "Apple Corp", "plan": "Start", "registration_no": "12345678"}'
        where id = %(id)s""",
        id=account.id,
    )

    shown = api.get("/account.json").json()

    assert list(shown) == HTTP["Account"]
    assert (shown["name"], shown["plan"], shown["subdomain"]) == ("Apple Corp", "Start", account.slug)
    entered = api.get("user.json").json()["accounts"][0]
    assert (entered["name"], entered["registration_no"]) == ("Apple Corp", "12345678")


def test_the_user_of_a_clients_own_token_is_the_owner(api: Api, account: Account) -> None:
    shown = api.get("user.json").json()

    assert list(shown) == ["id", "full_name", "email", "avatar_url", "default_account", "accounts"]
    assert (shown["email"], shown["full_name"]) == (accounts.placeholder_email(account.slug), account.slug)
    assert shown["default_account"] == account.slug
    assert [list(one) for one in shown["accounts"]] == [
        ["slug", "logo", "name", "registration_no", "permission", "allowed_scope"]
    ]
    assert shown["accounts"][0]["permission"] == "owner"
    assert shown["accounts"][0]["allowed_scope"] == ["reports", "expenses", "invoices"]


def test_the_people_of_the_account_are_listed_the_owner_first(server: Server, container: Container) -> None:
    account = container.storage.transact(
        accounts.create, "people", "Europe/Prague", owner_email="ann@example.com", owner_name="Ann Novák"
    )
    api = Api.of(server, container, account)
    api.sql(
        "insert into dispatcher.users (account_id, email, full_name, permission, allowed_scope) "
        "select %(id)s, n || '@example.com', 'Reader ' || n, 'read', '{reports}' from generate_series(1, 40) n",
        id=account.id,
    )

    pages = [api.get("/users.json", params={"page": page}).json() for page in (1, 2, 3, 10**12)]

    assert [len(page) for page in pages] == [40, 1, 0, 0]
    assert list(pages[0][0]) == ["id", "full_name", "email", "avatar_url", "permission", "allowed_scope"]
    assert [pages[0][0][name] for name in ("full_name", "email", "permission")] == [
        "Ann Novák",
        "ann@example.com",
        "owner",
    ]
    assert (pages[1][0]["permission"], pages[1][0]["allowed_scope"]) == ("read", ["reports"])


def test_a_token_without_any_scope_tells_who_it_is_for(server: Server, container: Container, account: Account) -> None:
    narrow = Api.of(server, container, account, "events:read")

    for path in ("user.json", "/account.json", "/users.json"):
        assert narrow.get(path).status_code == 200
