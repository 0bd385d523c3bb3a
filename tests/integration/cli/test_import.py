"""`dispatcher webhook import`: receivers notice nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from dispatcher.model.account import Account
from dispatcher.storage.admin import audit
from dispatcher.storage.engine import Storage
from tests.support.vectors import PRIVATE_KEY, PUBLIC_KEY, SECRET

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
    def imported(document: Any, code: int = 0) -> Result:
        path = tmp_path / "endpoints.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return run("webhook", "import", "--from", "svix", "--account", account.slug, str(path), code=code)

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


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"secret": "whsec_AAAA"}, "1.secret must be whsec_ and 24 to 75 bytes"),
        ({"secret": PRIVATE_KEY.replace("6Xb", "7Xb")}, "1.secret must be"),
        ({"secret": None}, "1.secret must be"),
        ({"channels": ["a"]}, "1.channels have no counterpart"),
        ({"filterTypes": ["nothing"]}, "1 cannot be imported: events"),
    ],
)
def test_all_are_imported_or_none(
    imported: Callable[..., Result], run_json: Callable[..., Any], account: Account, changed: Any, problem: str
) -> None:
    shown = imported([FIRST, SECOND | changed], code=1)

    assert problem in shown.output
    assert PRIVATE_KEY[5:40] not in shown.output
    assert run_json("webhook", "list", "--account", account.slug) == []
