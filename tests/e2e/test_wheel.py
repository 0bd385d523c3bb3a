"""The wheel has the one package, with all that it reads, and nothing else."""

import os
import shutil
import sys
from pathlib import Path
from zipfile import ZipFile

from tests.support.places import ROOT
from tests.support.wheels import build, run

READ = """
import json
import sys
from importlib.resources import files

sys.path.insert(0, place := sys.argv[1])  # before the checkout, which an editable install puts at the end
import dispatcher
import dispatcher.schemas
from dispatcher.cli.up import procfile

assert dispatcher.__file__.startswith(place) and dispatcher.schemas.__file__.startswith(place)
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


def test_it_has_one_package_and_no_other(installed: Path) -> None:
    found = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}

    assert found == {"dispatcher", "bin"}
    assert [path.name for path in (installed / "bin").iterdir()] == ["dispatcher"]


def test_every_file_of_the_package_is_in_it(installed: Path) -> None:
    assert sources(installed / "dispatcher") - {Path("processes/Procfile")} == sources(ROOT / "dispatcher")


def test_what_the_package_reads_is_read_from_it(installed: Path, tmp_path: Path) -> None:
    assert run(sys.executable, "-c", READ, installed, cwd=tmp_path) == "all read\n"


def test_another_folder_makes_the_same_wheel_to_the_byte(wheel: Path, tmp_path: Path) -> None:
    """Whatever the files' times and rights are: who builds a release sees that nothing was added."""
    for name in ("dispatcher", "schemas", "tasks", "sdks/python/src"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, copy_function=shutil.copyfile)
    for name in ("pyproject.toml", "README.md", "LICENSE", "Procfile", ".gitignore"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "dispatcher" / "version.py").chmod(0o600)

    again = build(tmp_path, tmp_path / "built")

    assert (again.name, again.read_bytes()) == (wheel.name, wheel.read_bytes())


def test_the_python_sdk_is_a_wheel_of_its_own(tmp_path: Path) -> None:
    wheel = build(ROOT / "sdks" / "python", tmp_path)
    assert wheel.name.startswith("webhook_dispatcher_sdk-")
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}

    source = ROOT / "sdks/python/src"
    assert names == {f"webhook_dispatcher_sdk/{name}" for name in sources(source / "webhook_dispatcher_sdk")}
    imports = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import webhook_dispatcher_sdk as sdk; print(sdk.__file__)"
    )
    assert run(sys.executable, "-c", imports, cwd=tmp_path).startswith(str(wheel))


def sources(package: Path) -> set[Path]:
    """Its files, relative; `schemas` and `tasks` are links in a checkout."""
    return {
        Path(folder, name).relative_to(package)
        for folder, _, names in os.walk(package, followlinks=True)
        for name in names
        if "__pycache__" not in folder
    }
