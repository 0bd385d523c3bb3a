"""Both SDKs against the running server, as they are published: one trip in Python, the same in TypeScript.

A company's program makes an account, a webhook with a filter and a client, and emits; the dispatcher delivers, and the
receiver verifies; the client lists and is refused; the account is deleted. Also the how-to of typed models.
"""

import json
import runpy
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

from dispatcher.cli.root import main
from dispatcher.container import Container
from dispatcher.schemas.active_catalogues import Catalogues, use
from dispatcher.sdk import AccountClient, ApiError, NoResponse, NotFound, ServiceClient, SignatureMismatch, verify
from dispatcher.sdk.service_models import NewEvent, WebhookInput
from dispatcher.storage.pipeline import events
from tests.support import npm, shop
from tests.support.api import Server
from tests.support.places import ROOT, a_folder
from tests.support.receiver import Answer, Received, Receiver
from tests.support.service import Service

FILTER = {"inbox_files": {"count": [{"numeric": [">=", 3]}]}}
PAGE = (ROOT / "docs/guides/typed-models.md").read_text()
EXAMPLES = ROOT / "docs/examples"
SHIPPED = {
    "type": "order.shipped",
    "timestamp": "2026-11-29T18:00:00Z",
    "data": {"order": {"id": str(uuid4()), "number": "A-17", "added": "since"}, "parcel": {"carrier": "post"}},
}
NO_MORE = b'{"data": [], "next": null}'


def follow(heading: str, folder: Path, packages: Path) -> None:
    """Does in `folder` what the how-to says below the heading, with a shop's catalogue; packages are installed."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("```sh\n")[2].partition("```")[0]
    for line in section.splitlines():
        program, *arguments = shlex.split(line)
        if program == "dispatcher":
            (folder / arguments[-1]).write_text(CliRunner().invoke(main, arguments[:-2], catch_exceptions=False).stdout)
        elif program == "npx":
            cli = packages / arguments[0] / "bin" / "cli.js"
            subprocess.run([npm.NODE, cli, *arguments[1:]], cwd=folder, check=True, capture_output=True, timeout=60)
        elif program == "datamodel-codegen":
            from datamodel_code_generator.__main__ import main as codegen  # noqa: PLC0415 -- see `sdks`

            with chdir(folder):
                assert codegen(arguments) == 0
        else:
            assert program in ("npm", "pip"), line


@pytest.fixture(scope="module")
def sdks() -> Iterator[Path]:
    """A copy of sdks/, generated afresh, and TypeScript's compiled, with the trip beside it."""
    # Here, as every process of a run collects this file and one of them needs it: a second of CPU each.
    from sdks import generate  # noqa: PLC0415

    with a_folder() as folder:
        shutil.copytree(
            ROOT / "sdks", folder, ignore=shutil.ignore_patterns("node_modules", "dist"), dirs_exist_ok=True
        )
        typescript = folder / "typescript"
        shutil.copy(Path(__file__).parent / "sdk" / "trip.ts", typescript / "src")
        npm.install(typescript)
        generate.main(folder)
        shutil.copy(EXAMPLES / "receive_typed.ts", typescript / "src")
        use(Catalogues(shop.catalogue))
        try:
            follow("TypeScript", typescript / "src", typescript / "node_modules")
        finally:
            use(None)
        done = subprocess.run(
            [npm.NODE, "node_modules/typescript/bin/tsc"], cwd=typescript, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout
        yield folder


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        busy = [Answer(status=429, headers=[("Retry-After", "0")]), Answer(status=503, headers=[("Retry-After", "0")])]
        receiver.script("/busy/accounts", *busy, Answer(body=NO_MORE))
        pages = [Answer(body=json.dumps([{"id": number} for number in range(count)]).encode()) for count in (40, 1)]
        receiver.script("/v3/accounts/shop/webhooks.json", *pages)
        receiver.script("/v3/oauth/token", Answer(body=b'{"access_token": "token"}'))
        in_progress = Answer(status=409, headers=[("Retry-After", "0")])
        receiver.script("/busy/accounts/ts_1/users", in_progress, Answer(status=201, body=b'{"id": 1}'))
        receiver.script("/busy/accounts/ts_1/webhooks/1/ping", Answer(status=503, body=b"{}"), Answer(body=b"{}"))
        yield receiver


@pytest.fixture
def service(server: Server, container: Container) -> Service:
    return Service.of(server, container)


def delivered(container: Container, receiver: Receiver, webhook_id: int) -> Received:
    """The only request that the webhook gets."""
    container.storage.transact(events.fan_out, 100_000)
    container.drain_runner.run([webhook_id])
    container.counters.send()  # now, and not from its thread while the container is closed
    (request,) = (one for one in receiver.wait_for(1) if one.path == "/hook")
    return request


def busy_requests(receiver: Receiver) -> list[tuple[str, str | None]]:
    return [(one.path, one.header("Idempotency-Key")) for one in receiver.requests if one.path.startswith("/busy/")]


def test_what_is_generated_is_up_to_date(sdks: Path) -> None:
    package = "python/src/webhook_dispatcher_sdk"
    for file in sorted((ROOT / "sdks" / package).glob("*.py")):
        assert file.read_text() == (sdks / package / file.name).read_text(), f"{file.name}: run `make sdks`"


def test_the_how_to_makes_models_of_typescript(sdks: Path) -> None:
    script = "import {received} from './dist/receive_typed.js'; console.log(received(JSON.parse(process.argv[1])))"
    command = [str(npm.NODE), "--input-type=module", "--eval", script, json.dumps(SHIPPED)]
    done = subprocess.run(command, cwd=sdks / "typescript", capture_output=True, text=True, timeout=60)

    assert done.stdout == "A-17 left with post\n", done.stderr
    types = (sdks / "typescript/src/events.ts").read_text()
    assert 'type: "order.shipped";' in types


def test_the_how_to_makes_models_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Catalogues(shop.catalogue))
    try:
        follow("Python", tmp_path, tmp_path)
    finally:
        use(None)
    monkeypatch.syspath_prepend(tmp_path)
    received = runpy.run_path(str(EXAMPLES / "receive_typed.py"))["received"]

    assert received(json.dumps(SHIPPED)) == "A-17 left with post"
    created = {**SHIPPED, "type": "order.created"}
    assert received(json.dumps(created)) == "order.created is not for us"
    with pytest.raises(ValueError, match="Field required"):
        received(json.dumps({**SHIPPED, "data": {"order": {"id": 5}}}))


def test_the_python_sdk_goes_all_the_way(service: Service, receiver: Receiver) -> None:
    company = ServiceClient(f"{service.server.url}/api/v1", service.text)
    account = company.accounts.put("py_1", {"time_zone": "UTC"})
    body: WebhookInput = {"webhook_url": receiver.url("/hook"), "events": ["inbox_file_removed_all"], "filter": FILTER}
    webhook = company.webhooks.create("py_1", body)
    emits: list[NewEvent] = [
        {"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": count}}} for count in (1, 3)
    ]
    assert len(company.events.emit_many("py_1", emits)) == 2

    request = delivered(service.container, receiver, webhook["id"])
    event = verify(request.body, dict(request.headers), ["whsec_AAAA", webhook["signing_secret"]])
    assert event["body"] == emits[1]["body"]
    with pytest.raises(SignatureMismatch):
        verify(request.body + b" ", dict(request.headers), webhook["signing_secret"])

    client = company.members.add_client("py_1", {"name": "shop"})
    customer = AccountClient(f"{service.server.root}/", client["client_id"], client["client_secret"])
    own = customer.webhooks.create(account["slug"], {"webhook_url": receiver.url("/own"), "events": body["events"]})
    assert [one["id"] for one in customer.webhooks.list(account["slug"])] == [own["id"]]
    assert [one["id"] for one in company.webhooks.list("py_1", limit=1)] == [webhook["id"], own["id"]]
    assert list(customer.deliveries.list(account["slug"])) == []
    with pytest.raises(NotFound):
        customer.webhooks.show(account["slug"], webhook["id"])
    with pytest.raises(ApiError, match="events can't be empty") as refused:
        company.webhooks.create("py_1", {**body, "events": []})
    assert (refused.value.status, refused.value.code) == (422, "invalid_attributes")
    assert refused.value.fields == {"events": ["can't be empty"]}

    first, again = (company.events.emit("py_1", {**emits[0], "idempotency_key": "once"}) for _ in range(2))
    assert (first["new"], again["new"], again["id"]) == (True, False, first["id"])
    company.webhooks.delete("py_1", webhook["id"])
    assert company.accounts.delete("py_1")["deleted"]["webhooks"] == 2
    assert client["client_secret"] not in repr(vars(customer))
    assert service.text not in repr(vars(company))


def test_the_python_sdk_gets_another_token_when_its_own_has_expired(receiver: Receiver) -> None:
    tokens = [Answer(body=json.dumps({"access_token": token}).encode()) for token in ("first", "second")]
    receiver.script("/oauth/token", *tokens)
    receiver.script("/user.json", Answer(body=b"{}"), Answer(status=401, body=b"{}"), Answer(body=b"{}"))
    customer = AccountClient(receiver.url(), "id", "secret")

    for _ in range(2):
        customer.accounts.current_user()

    sent = [one.header("Authorization") for one in receiver.requests if one.path == "/user.json"]
    assert sent == ["Bearer first", "Bearer first", "Bearer second"]


def test_the_python_sdk_repeats_what_does_no_harm(receiver: Receiver) -> None:
    busy = ServiceClient(receiver.url("/busy"), "whd_secret")

    assert list(busy.accounts.list()) == []
    busy.members.add_user("ts_1", {"email": "a@example.com"})
    with pytest.raises(ApiError, match="the API responded 503"):
        busy.webhooks.ping("ts_1", 1)
    with pytest.raises(ValueError, match=r"'\.\.' is no id"):
        busy.accounts.show("..")
    with pytest.raises(NoResponse, match="did not respond: ConnectionError"):
        ServiceClient("http://127.0.0.1:9", "whd_secret", retries=1).accounts.show("ts_1")

    check_busy(receiver)


def check_busy(receiver: Receiver) -> None:
    """Three calls of a list, two of a POST with one key, one of a POST without."""
    paths, keys = zip(*busy_requests(receiver), strict=True)
    base = "/busy/accounts"
    assert paths == (base, base, base, f"{base}/ts_1/users", f"{base}/ts_1/users", f"{base}/ts_1/webhooks/1/ping")
    assert keys[3] == keys[4] is not None
    assert keys[5] is None


def test_the_typescript_sdk_goes_all_the_way(sdks: Path, service: Service, receiver: Receiver) -> None:
    given = {"url": service.server.url, "token": service.text, "receiver": receiver.url("/hook")}
    node = subprocess.Popen(
        [npm.NODE, "dist/trip.js", json.dumps(given)],
        cwd=sdks / "typescript",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with node:
        assert node.stdin
        assert node.stdout
        made = json.loads(node.stdout.readline())
        assert (made["account"], made["emitted"]) == ("ts_1", 2)
        request = delivered(service.container, receiver, made["webhook"])
        node.stdin.write(json.dumps({"headers": dict(request.headers), "body": request.body.decode()}) + "\n")
        node.stdin.flush()
        verified, listed, deleted = (json.loads(node.stdout.readline()) for _ in range(3))
        node.stdin.close()

    reasons = ["signature_mismatch", "timestamp_too_old", "timestamp_too_new", "invalid_header", "missing_header"]
    reasons = ["signature_mismatch", *reasons, "signature_mismatch"]
    assert verified == {"ed25519": 2432232314, "count": 3, "reasons": reasons}
    refused = [422, "invalid_attributes", "events can't be empty", {"events": ["can't be empty"]}]
    assert listed == {"polled": [1, 3, 3], "own": 1, "everybody": 3, "deliveries": 0, "hidden": 404, "refused": refused}
    assert deleted == {"webhooks": 3, "patient": [], "numbered": 41, "keyed": 201, "once": 503}
    check_busy(receiver)
