"""`make clean-data`, on a terminal and without one."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from dispatcher.local.embedded import embedded
from tests.integration.local.conftest import copy_data


def remove(folder: Path, answer: str | None) -> tuple[int, str]:
    """Exit code and words; `answer` is typed on a terminal, None: there is none."""
    command = [sys.executable, "-m", "dispatcher.local.remove"]
    if answer is None:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    screen, terminal = pty.openpty()
    os.write(screen, answer.encode() + b"\n")
    done = subprocess.run(command, cwd=folder, stdin=terminal, capture_output=True, text=True)
    os.close(screen)
    os.close(terminal)
    return done.returncode, done.stdout + done.stderr


def test_data_are_deleted_only_after_asking_and_never_under_what_runs(folder: Path, made_data: Path) -> None:
    data = folder / ".dispatcher"
    assert remove(folder, None) == (0, "There is no data here: no folder .dispatcher.\n")
    copy_data(made_data, data / "demo" / "postgres")
    with embedded(data / "demo") as own:
        assert own.postgres is not None
        code, said = remove(folder, "yes")
        assert (code, said) == (1, "error: the data in .dispatcher is in use; stop the dispatcher first\n")

    for answer in ("y", "", None):
        code, said = remove(folder, answer)
        assert code == 1
        assert "accounts, webhooks, events, passwords" in said
        assert "nothing was deleted" in said
        assert (data / "demo" / "postgres" / "data" / "PG_VERSION").is_file()

    assert remove(folder, "yes")[0] == 0
    assert list(folder.iterdir()) == []
