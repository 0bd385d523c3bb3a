"""The running server, driven by clients that nobody here wrote: from PyPI and from npm, at the versions locked.

`fakturoid-sdk` speaks JSON and the usual alphabet of Base64, `@thinkhome-org/fakturoid-typescript-api` forms and the
URL-safe one.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fakturoid_sdk import FakturoidClient
from fakturoid_sdk.auth import AuthType
from fakturoid_sdk.exceptions import AuthorizationFailedError, ClientError

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.storage.admin import users
from tests.integration.api.test_consent import HASH, REDIRECT_URI, Browser, brought_back
from tests.support import npm
from tests.support.api import AGENT, Api, Server, a_delivery
from tests.support.places import a_folder

HOOK = {
    "webhook_url": "https://example.com/webhook",
    "auth_header": "Bearer TOKEN",
    "events": ["invoice_created", "invoice_paid"],
}


@pytest.fixture
def integration(server: Server, container: Container, account: Account) -> Api:
    """A client that acts for users by code; the account's owner has a password."""
    container.storage.transact(users.set_password, account.id, None, HASH)
    return Api.of(server, container, account, redirect_uri=REDIRECT_URI)


# -- PyPI: fakturoid-sdk -----------------------------------------------------------------------------------------------


def sdk(api: Api, **given: Any) -> Any:
    """By its own types everything that it returns may be anything."""
    return FakturoidClient(
        client_id=api.client.client_id,
        client_secret=api.secret,
        user_agent=AGENT,
        base_url=api.server.root,
        **({"account_slug": api.account.slug} | given),
    )


def test_fakturoid_sdk_goes_all_the_way_with_client_credentials(api: Api) -> None:
    async def trip() -> None:
        async with sdk(api) as fakturoid:
            await fakturoid.auth.auth(AuthType.CLIENT_CREDENTIALS_CODE_FLOW)
            assert await fakturoid.webhooks.list() == []

            made = await fakturoid.webhooks.create(HOOK)
            assert {name: made[name] for name in HOOK} == HOOK
            assert await fakturoid.webhooks.get(made["id"]) == made
            assert (await fakturoid.webhooks.update(made["id"], {"active": False}))["active"] is False

            failed_id = a_delivery(api, made["id"])
            path = f"/accounts/{{accountSlug}}/webhooks/{made['failed_deliveries_uuid']}/failed_deliveries.json"
            answer = await fakturoid.dispatcher.get(path)
            (failed,) = answer.get_body(return_json_as_dict=True)
            assert (failed["id"], len(failed["deliveries"])) == (failed_id, 2)
            assert (answer.get_rate_limit_quota(), answer.get_rate_limit_window()) == (1_000_000, 60)
            assert 0 < answer.get_rate_limit_remaining() < 1_000_000

            assert (await fakturoid.account.get())["subdomain"] == api.account.slug
            assert (await fakturoid.users.get_current_user())["default_account"] == api.account.slug
            assert [one["permission"] for one in await fakturoid.users.list()] == ["owner"]

            with pytest.raises(ClientError, match=r"Unprocessable .*: .*can't be empty") as refused:
                await fakturoid.webhooks.create(HOOK | {"events": []})
            assert refused.value.status_code == 422

            await fakturoid.webhooks.delete(made["id"])
            with pytest.raises(ClientError, match="not_found: ") as refused:
                await fakturoid.webhooks.get(made["id"])
            assert refused.value.status_code == 404
            assert await fakturoid.webhooks.list(page=2) == []

    run(trip())


def test_fakturoid_sdk_goes_all_the_way_with_a_code(integration: Api) -> None:
    async def trip() -> None:
        async with sdk(integration, redirect_uri=REDIRECT_URI) as fakturoid:
            asked = fakturoid.auth.get_authentication_url(state="opaque")
            back = brought_back(agreed(integration, asked))
            assert back["state"] == "opaque"
            await fakturoid.auth.request_credentials(back["code"])
            assert (await fakturoid.users.get_current_user())["default_account"] == integration.account.slug

            before = fakturoid.auth.get_credentials()
            after = await fakturoid.auth.oauth2_refresh()
            assert after.get_access_token() != before.get_access_token()
            assert after.get_refresh_token() == before.get_refresh_token()
            made = await fakturoid.webhooks.create(HOOK)

            assert await fakturoid.auth.revoke() is True
            with pytest.raises(ClientError) as refused:
                await fakturoid.webhooks.get(made["id"])
            assert refused.value.status_code == 401
            with pytest.raises(AuthorizationFailedError):
                await fakturoid.auth.oauth2_refresh()

    run(trip())


def test_fakturoid_sdk_with_a_wrong_secret_is_told(api: Api) -> None:
    async def trip() -> None:
        async with FakturoidClient(
            client_id=api.client.client_id, client_secret="0" * 40, user_agent=AGENT, base_url=api.server.root
        ) as fakturoid:
            with pytest.raises(AuthorizationFailedError):
                await fakturoid.auth.auth(AuthType.CLIENT_CREDENTIALS_CODE_FLOW)

    run(trip())


def run(trip: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: this one's loop is the browser's, where the console's tests came before."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, trip).result()


def agreed(api: Api, url: str) -> Any:
    """What the owner's browser gets once it was sent to `url` and its owner agreed."""
    browser = Browser(api)
    return browser.agree(browser.session.get(url, timeout=30))


# -- npm: @thinkhome-org/fakturoid-typescript-api ----------------------------------------------------------------------


@pytest.fixture(scope="session")
def typescript() -> Iterator[Path]:
    """A folder with the package, exactly as its lock names it, and the script that calls it."""
    with a_folder() as folder:
        shutil.copytree(Path(__file__).parent / "typescript", folder, dirs_exist_ok=True)
        npm.install(folder)
        yield folder


class TypeScript:
    """The package's client, in a node process that does what it is told by lines of JSON."""

    def __init__(self, folder: Path, api: Api, redirect_uri: str = REDIRECT_URI) -> None:
        self._process: Any = subprocess.Popen(
            [npm.NODE, "--no-warnings", "trip.mjs"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._write(
            clientId=api.client.client_id,
            clientSecret=api.secret,
            redirectUri=redirect_uri,
            userAgent=AGENT,
            baseUrl=api.server.url,
        )

    def __call__(self, call: str, *arguments: Any) -> Any:
        """What the call came to; a FakturoidApiError is {"error": ...}."""
        self._write(call=call, args=arguments)
        line = self._process.stdout.readline()
        assert line, f"{call} ended node"
        said = json.loads(line)
        return said.get("result", said)

    def end(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(10) == 0
        self._process.stdout.close()

    def _write(self, **what: Any) -> None:
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()


def test_the_typescript_client_goes_all_the_way_with_client_credentials(typescript: Path, api: Api) -> None:
    js = TypeScript(typescript, api)
    js("client.connectWithClientCredentials", "tenant")
    assert js("tokens")["fakturoidSlug"] == api.account.slug
    assert js("webhooks.list") == []

    made = js("webhooks.create", HOOK)
    assert {name: made[name] for name in HOOK} == HOOK
    assert js("webhooks.get", made["id"]) == made
    assert js("webhooks.update", made["id"], {"active": False})["active"] is False
    failed_id = a_delivery(api, made["id"])
    (failed,) = js("webhooks.getFailedDeliveries", made["failed_deliveries_uuid"])
    assert (failed["id"], [one["response_status"] for one in failed["deliveries"]]) == (
        failed_id,
        ["connection_failed", "404"],
    )

    for _ in range(40):
        js("webhooks.create", HOOK)
    assert len({one["id"] for one in js("webhooks.listAll")}) == 41
    assert js("account.getAccountInfo")["subdomain"] == api.account.slug
    assert js("users.getCurrentUser")["default_account"] == api.account.slug
    assert [one["permission"] for one in js("users.list")] == ["owner"]

    refused = js("webhooks.create", HOOK | {"events": []})["error"]
    assert (refused["status"], refused["details"]["errors"]) == (422, {"events": ["can't be empty"]})
    js("webhooks.delete", made["id"])
    refused = js("webhooks.get", made["id"])["error"]
    assert (refused["status"], refused["message"]) == (404, "The record does not exist")
    js.end()


def test_the_typescript_client_goes_all_the_way_with_a_code(typescript: Path, integration: Api) -> None:
    js = TypeScript(typescript, integration)

    def connect() -> str:
        """By what the owner's browser brings back: the code."""
        back = brought_back(agreed(integration, js("client.getAuthorizationUrl", "tenant", "opaque")))
        assert back["state"] == "opaque"
        js("client.handleOAuthCallback", {"code": back["code"], "state": back["state"], "tenantId": "tenant"})
        return back["code"]

    refused = js("client.connectWithClientCredentials", "tenant")["error"]  # it acts for users only
    assert (refused["status"], "client_credentials" in refused["message"]) == (400, True)

    code = connect()
    before = js("tokens")
    made = js("webhooks.create", HOOK)
    js("expire")
    assert js("webhooks.get", made["id"]) == made
    after = js("tokens")
    assert (after["accessToken"] != before["accessToken"], after["refreshToken"]) == (True, before["refreshToken"])

    again = js("client.handleOAuthCallback", {"code": code, "state": "x", "tenantId": "tenant"})
    assert again["error"]["status"] == 400
    assert js("webhooks.get", made["id"])["error"]["status"] == 401

    connect()
    header = {"Authorization": f"Bearer {js('tokens')['accessToken']}"}
    assert integration.get("user.json", headers=header).status_code == 200
    js("client.revokeTenant", "tenant")
    assert integration.get("user.json", headers=header).status_code == 401
    js.end()
