"""The import contracts of pyproject.toml find what they are for: one that lets all through would look the same."""

import shutil
import subprocess
from pathlib import Path

from tests.support.places import ROOT
from tests.support.processes import PROGRAMS


def test_a_module_in_no_layer_and_an_import_against_the_arrows_fail(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("dispatcher", "bench"):
        code_only = shutil.ignore_patterns("static", "templates", "__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=code_only)
    for stray in ("dispatcher/stray.py", "dispatcher/schemas/stray.py"):
        (tmp_path / stray).touch()
    for module in ("dispatcher/metrics/wrong.py", "dispatcher/tasks/wrong.py"):
        (tmp_path / module).write_text("import redis\n")
    (tmp_path / "dispatcher/storage/wrong.py").write_text("import dispatcher.api.webhooks\n")

    command = [str(PROGRAMS / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    for complaint in (
        "dispatcher.stray",
        "dispatcher.schemas.stray",
        "dispatcher.metrics.wrong -> redis",
        "dispatcher.tasks.wrong -> redis",
        "dispatcher.storage.wrong -> dispatcher.api.webhooks",
    ):
        assert complaint in done.stdout, complaint
