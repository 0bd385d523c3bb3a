"""Wheels, built and installed by the programs that a release and a service use."""

import subprocess
import sys
from pathlib import Path

from tests.support.processes import clean_environment


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """What it prints; it has to succeed."""
    environment = clean_environment() | variables
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(project: Path, into: Path) -> Path:
    """The wheel of `project`."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into, cwd=project)
    (wheel,) = into.glob("*.whl")
    return wheel


def install(place: Path, *what: str | Path) -> None:
    """By pip, into a folder of its own; what of it is used is compiled when it is."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--root-user-action=ignore")
    run(*pip, "--quiet", "--no-deps", "--no-compile", "--target", place, *what, cwd=place)
