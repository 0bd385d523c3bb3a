"""`dispatcher webhook import`: receivers notice nothing."""

import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from dispatcher.model.account import Account
from dispatcher.signatures import signature_headers
from dispatcher.storage.admin import audit
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import deliveries
from tests.support.vectors import CONVOY_BODY, CONVOY_SECRET, PRIVATE_KEY, PUBLIC_KEY, SECRET

FIRST = {
    "id": "ep_1",
    "url": "https://example.com/hook",
    "filterTypes": ["invoice_paid"],
    "description": "",
    "metadata": {"crm": "4711"},
    "rateLimit": 5,
    "headers": {"Authorization": "Bearer s3cret"},
    "disabled": False,
    "version": 1,
    "secret": SECRET,
}
SECOND = {"id": "ep_2", "uid": "shop-2", "url": "https://example.com/2", "disabled": True, "secret": PRIVATE_KEY}


@pytest.fixture
def imported(run: Callable[..., Result], account: Account, tmp_path: Path) -> Callable[..., Result]:
    def imported(document: Any, code: int = 0, origin: str = "svix") -> Result:
        path = tmp_path / "endpoints.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return run("webhook", "import", "--from", origin, "--account", account.slug, str(path), code=code)

    return imported


def test_endpoints_keep_their_secrets(
    imported: Callable[..., Result], run_json: Callable[..., Any], account: Account, storage: Storage
) -> None:
    assert imported({"data": [FIRST, SECOND]}).stdout.endswith("2 created\n")
    assert imported([SECOND, FIRST]).stdout == "0 created\n"

    made = run_json("webhook", "list", "--account", account.slug)
    first, second = (run_json("webhook", "show", str(one["id"]), "--account", account.slug) for one in made)
    assert first["secret_headers"] == {"Authorization": None}
    assert "s3cret" not in str(storage.read(audit.page, account_id=account.id, before=None, limit=9))
    assert (first["uid"], first["signing_secret"], first["public_key"]) == ("ep_1", SECRET, None)
    assert (first["events"], first["rate_limit"], first["metadata"]) == (["invoice_paid"], 5, {"crm": "4711"})
    assert first["signature_prefixes"] == ["svix-", "webhook-"]
    assert (second["uid"], second["public_key"], second["active"]) == ("shop-2", PUBLIC_KEY, False)
    assert (second["signature_schemes"], second["events"]) == (["v1a"], ["*"])


def test_all_are_imported_or_none(
    imported: Callable[..., Result], run_json: Callable[..., Any], account: Account
) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"secret": "whsec_AAAA"}, "1.secret must be whsec_ and 24 to 75 bytes"),
        ({"secret": PRIVATE_KEY.replace("6Xb", "7Xb")}, "1.secret must be"),
        ({"secret": None}, "1.secret must be"),
        ({"channels": ["a"]}, "1.channels have no counterpart"),
        ({"sensitive": ["X-Key"]}, "1.sensitive are headers that Svix does not show"),
        ({"filterTypes": ["nothing"]}, "1 cannot be imported: events"),
    ]
    for changed, problem in wrong:
        shown = imported([FIRST, SECOND | changed], code=1)

        assert problem in shown.output
        assert PRIVATE_KEY[5:40] not in shown.output
    assert run_json("webhook", "list", "--account", account.slug) == []


# -- Convoy: what its API answers, shortened ---------------------------------------------------------------------------

CONVOY_ENDPOINT = {
    "uid": "01J9ENDPOINT",
    "url": "https://example.com/convoy",
    "name": "shop",
    "description": "of Applecorp",
    "secrets": [
        {"uid": "1", "value": "an older secret", "expires_at": "2026-01-01T00:00:00Z"},
        {"uid": "2", "value": CONVOY_SECRET, "expires_at": None},
    ],
    "advanced_signatures": True,
    "status": "active",
    "http_timeout": 30,
    "rate_limit": 3000,
    "rate_limit_duration": 60,
    "authentication": {"type": "api_key", "api_key": {"header_name": "X-Api-Key", "header_value": "s3cret"}},
}
SIMPLE_ENDPOINT = {
    "uid": "01J9SIMPLE", "url": "https://example.com/simple", "name": "other", "status": "paused",
    "secrets": [{"value": CONVOY_SECRET}], "advanced_signatures": False, "authentication": None,
}  # fmt: skip


def subscription(endpoint: dict[str, Any], *names: str, **filter_: Any) -> dict[str, Any]:
    config = {"event_types": list(names), "filter": {"headers": {}, "body": {}, "is_flattened": False} | filter_}
    return {"type": "api", "endpoint_metadata": endpoint, "filter_config": config, "function": None}


def of_convoy(**changes: Any) -> dict[str, Any]:
    versions = [{"hash": "SHA256", "encoding": "hex"}]
    listed = [CONVOY_ENDPOINT, SIMPLE_ENDPOINT, {"uid": "01J9UNUSED"}]
    both = [
        subscription(CONVOY_ENDPOINT, "invoice_paid"),
        subscription(CONVOY_ENDPOINT, "invoice_paid", "invoice_sent"),
        subscription(SIMPLE_ENDPOINT, "*"),
        {"type": "cli", "endpoint_metadata": None, "filter_config": {"event_types": ["*"]}},
    ]
    return {
        "endpoints": {"status": True, "data": {"content": listed}},
        "subscriptions": {"status": True, "data": {"content": both}},
        "project": {
            "status": True,
            "data": {"config": {"signature": {"header": "X-Acme-Signature", "versions": versions}}},
        },
    } | changes


def test_endpoints_of_convoy_keep_their_secrets(
    imported: Callable[..., Result], run_json: Callable[..., Any], account: Account, storage: Storage
) -> None:
    assert imported(of_convoy(), origin="convoy").stdout.endswith("2 created\n")
    assert imported(of_convoy(), origin="convoy").stdout == "0 created\n"

    first, second = run_json("webhook", "list", "--account", account.slug)
    assert (first["uid"], first["webhook_url"]) == ("01J9ENDPOINT", "https://example.com/convoy")
    assert (first["events"], first["description"]) == (["invoice_paid", "invoice_sent"], "shop: of Applecorp")
    assert (first["rate_limit"], first["secret_headers"]) == (50, {"X-Api-Key": None})
    assert (first["signature_schemes"], first["signature_header"]) == (["v1", "convoy"], "X-Acme-Signature")
    assert (second["signature_schemes"], second["events"]) == (["v1", "convoy-simple"], ["*"])
    assert (second["active"], second["rate_limit"]) == (False, None)
    for one in (first, second):
        assert is_of_convoy(sent(storage, one["id"]))
        schemes = [f"--signature-scheme={scheme}" for scheme in ("v1a", one["signature_schemes"][1])]
        run_json("webhook", "edit", str(one["id"]), "--account", account.slug, *schemes)
        assert is_of_convoy(sent(storage, one["id"])), "the text stays when a key pair comes to stand beside it"
    assert CONVOY_SECRET not in str(storage.read(audit.page, account_id=account.id, before=None, limit=9))


def sent(storage: Storage, webhook_id: int) -> dict[str, str]:
    """The headers of a request with CONVOY_BODY."""
    target = storage.read(deliveries.targets, storage.secrets, {webhook_id})[webhook_id]
    return dict(signature_headers(target.signing_keys, target.options, "1", "1700000000", CONVOY_BODY))


def is_of_convoy(headers: dict[str, str]) -> bool:
    """As Convoy's libraries verify: a simple header is a signature, an advanced one has some of `time,body`."""

    def signature(signed: bytes) -> str:
        return hmac.new(CONVOY_SECRET.encode(), signed, "sha256").hexdigest()

    header = headers["X-Acme-Signature"]
    parts = [part.partition("=") for part in header.split(",")]
    if len(parts) == 1:
        return hmac.compare_digest(header, signature(CONVOY_BODY))
    sent = next(value for name, _, value in parts if name == "t")
    return signature(f"{sent},".encode() + CONVOY_BODY) in [value for name, _, value in parts if name == "v1"]


def test_what_convoy_has_and_we_have_not_is_refused(
    imported: Callable[..., Result], run_json: Callable[..., Any], account: Account
) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"project": {"config": {"signature": {"versions": [{"hash": "SHA512", "encoding": "hex"}]}}}},
         "project.config.signature.versions can be imported only where"),
        ({"subscriptions": [subscription(CONVOY_ENDPOINT, "*", body={"amount": {"$gte": 5}})]},
         "subscriptions.0 has a filter or a function"),
        ({"endpoints": [CONVOY_ENDPOINT | {"authentication": {"type": "oauth2"}}]}, "endpoints.0.authentication"),
        ({"endpoints": [CONVOY_ENDPOINT | {"secrets": []}]}, "endpoints.0.secrets must have 8 to 500"),
        ({"endpoints": "nothing"}, "endpoints must be an object"),
        ({"project": None}, "project must be an object"),
        ({"endpoints": [CONVOY_ENDPOINT | {"rate_limit_duration": "1m0s"}]}, "endpoints.0.rate_limit_duration must be"),
        ({"endpoints": [CONVOY_ENDPOINT | {"secrets": ["s"]}]}, "endpoints.0 has a value of another type"),
    ]  # fmt: skip
    for changes, problem in wrong:
        assert problem in imported(of_convoy(**changes), code=1, origin="convoy").output
    assert run_json("webhook", "list", "--account", account.slug) == []
