"""The wheel has our three packages, with all that they read, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.processes import clean_environment

READ = """
import json
import sys
from importlib.resources import files

sys.path.insert(0, place := sys.argv[1])  # before the checkout, which an editable install puts at the end
import dispatcher, schemas
from dispatcher.cli.up import procfile

assert dispatcher.__file__.startswith(place) and schemas.__file__.startswith(place)
assert str(procfile()).startswith(place) and "worker:" in procfile().read_text()
for name in ("due", "hand_out", "quota", "release", "renew", "take"):
    assert "redis.call" in (files("dispatcher.schedule.scripts") / f"{name}.lua").read_text()
bodies = list((files("dispatcher.local") / "bodies").iterdir())
assert bodies and all(json.loads(one.read_text()) for one in bodies if one.name.endswith(".json"))
assert "SwaggerUIBundle" in (files("dispatcher.api") / "static" / "docs.js").read_text()
assert "csrf" in (files("dispatcher.api") / "templates" / "consent.html").read_text()
console = files("dispatcher.console")
assert "csrf" in (console / "templates" / "console" / "sign_in.html").read_text()
for name in ("console.css", "console.js", "vendor/htmx.min.js", "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css"):
    assert (console / "static" / name).read_text()
migrations = files("dispatcher.storage") / "migrations"
assert "context" in (migrations / "env.py").read_text()
assert "create table" in (migrations / "versions" / "0001_pipeline.py").read_text()
print("all read")
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a freshly built wheel is installed, outside the checkout."""
    built, place = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", built, cwd=ROOT)
    (wheel,) = built.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--root-user-action=ignore")
    run(*pip, "--quiet", "--no-deps", "--no-index", "--target", place, wheel, cwd=built)
    return place


def test_it_has_three_packages_and_no_other(installed: Path) -> None:
    found = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}

    assert found == {"dispatcher", "schemas", "tasks", "bin"}
    assert [path.name for path in (installed / "bin").iterdir()] == ["dispatcher"]


def test_every_file_of_the_packages_is_in_it(installed: Path) -> None:
    for package in ("dispatcher", "schemas", "tasks"):
        kept = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*") if is_source(path)}
        came = {path.relative_to(installed) for path in (installed / package).rglob("*") if is_source(path)}
        assert came - {Path("dispatcher/processes/Procfile")} == kept


def test_what_the_packages_read_is_read_from_it(installed: Path, tmp_path: Path) -> None:
    assert run(sys.executable, "-c", READ, installed, cwd=tmp_path) == "all read\n"


def is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts
