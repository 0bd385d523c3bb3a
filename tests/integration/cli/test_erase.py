"""`dispatcher erase`: whom, what it prints, and once more after a restore."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from dispatcher.container import Container


@pytest.fixture
def emitted(run: Callable[..., Result]) -> None:
    run("account", "create", "acme")
    for person in (17, 18):
        run("emit", "subject_created", "--account", "acme", stdin=json.dumps({"subject": {"id": person}}))


@pytest.mark.usefixtures("emitted")
def test_a_person_is_erased_and_after_a_restore_once_more(
    run: Callable[..., Result], run_json: Callable[..., Any], container: Container, tmp_path: Path
) -> None:
    done = run("erase", "--account", "acme", "--subject", "17")
    assert done.stdout == "erasure 1 finished: payloads of 1 events and 0 responses erased, 1 pending cancelled\n"

    listed = run("erase", "--list", "--json").stdout
    (saved := tmp_path / "erasures.json").write_text(listed)
    with container.storage.transaction() as connection:
        restored = (
            """update dispatcher.events set erasure = null, body = '{"subject":{"id":17}}' where erasure = 'subject'"""
        )
        connection.exec_driver_sql(restored)

    assert "payloads of 1 events" in run("erase", "--again", str(saved)).stdout
    assert run("erase", "--account", "acme", code=2).stderr.endswith("Give --account, and --subject or --digest.\n")
    run("erase", "--account", "nobody", "--subject", "17", code=1)
    assert [one["account"] for one in json.loads(listed)] == ["acme"]
