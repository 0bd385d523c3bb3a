"""`dispatcher apply`: what a file describes is made, once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

FILE = """
accounts:
  cus_17:
    time_zone: UTC
    webhooks:
      - webhook_url: https://example.com/hook
        events: [invoice_paid]
        filter:
          invoice: {total: [{numeric: [">=", 1000]}]}
"""


@pytest.fixture
def apply(run: Callable[..., Result], tmp_path: Path) -> Callable[..., Result]:
    def apply(text: str, *options: str, code: int = 0) -> Result:
        path = tmp_path / "webhooks.yaml"
        path.write_text(text, encoding="utf-8")
        return run("apply", "-f", str(path), *options, code=code)

    return apply


def test_a_file_is_applied_once(apply: Callable[..., Result], run_json: Callable[..., Any]) -> None:
    shown = apply(FILE, "--dry-run").stdout
    assert "+ account cus_17" in shown
    assert "+ webhook https://example.com/hook of cus_17" in shown
    assert run_json("account", "list") == []

    apply(FILE)
    assert apply(FILE).stdout == "nothing to change\n"
    (account,) = run_json("account", "list")
    (webhook,) = run_json("webhook", "list", "--account", account["slug"])
    assert webhook["filter"] == {"invoice": {"total": [{"numeric": [">=", 1000]}]}}


def test_what_differs_is_shown_and_changed(apply: Callable[..., Result]) -> None:
    apply(FILE)
    changed = FILE.replace("[invoice_paid]", "[invoice_paid, invoice_sent]").replace("UTC", "Europe/Prague")

    shown = apply(changed, "--dry-run").stdout

    assert "    time_zone: 'UTC' -> 'Europe/Prague'" in shown
    assert "    events: ['invoice_paid'] -> ['invoice_paid', 'invoice_sent']" in shown
    assert apply(changed).stdout == shown.replace("would change", "changed")
    assert apply(changed).stdout == "nothing to change\n"


def test_what_is_secret_is_not_shown(apply: Callable[..., Result]) -> None:
    """Logs of CI keep what is printed, and a URL may hold its receiver's token."""
    secret = FILE.replace("/hook", "/hook?token=s3cret").replace(
        "  filter:", '  auth_header: "Bearer s3cret"\n        filter:'
    )

    assert "s3cret" not in apply(secret, "--dry-run").stdout + apply(secret).stdout


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("time_zone: UTC", "time_zone: Mars", 4),
        ("[invoice_paid]", "[invoice_payed]", 7),
        ("total:", "totl:", 8),
        ("accounts:", "account:", 2),
        ("webhook_url:", "url:", 6),
        ("https://example.com/hook", "[https://example.com/hook]", 6),
        ("cus_17:", "cus 17:", 3),
        ("cus_17:", "7: {}\n  cus_17:\n    x: 1", 5),
        ("[invoice_paid]", "[invoice_paid", 8),
    ],
)
def test_a_mistake_is_told_with_its_line(apply: Callable[..., Result], old: str, new: str, line: int) -> None:
    said = apply(FILE.replace(old, new), code=1).stderr

    assert f"webhooks.yaml:{line}" in said or f"line {line}" in said
