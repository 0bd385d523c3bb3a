"""`make clean-data`: deletes what `up` and `demo` keep in .dispatcher/, after asking. No module imports it."""

import shutil
import sys
from pathlib import Path

from dispatcher.local.folder import is_in_use
from dispatcher.local.postgres import Postgres

FOLDER = Path(".dispatcher")


def main() -> str | None:
    """What went wrong; None where nothing did."""
    homes = [home for home in (FOLDER, FOLDER / "demo") if home.is_dir()]
    if not homes:
        print(f"There is no data here: no folder {FOLDER}.")
        return None
    if any(map(is_in_use, homes)):
        return f"error: the data in {FOLDER} is in use; stop the dispatcher first"
    print(f"This deletes accounts, webhooks, events, passwords and the key to them, in {FOLDER.resolve()}.")
    if not sys.stdin.isatty() or input("Type `yes` to continue: ").strip() != "yes":
        return "error: nothing was deleted"
    for home in homes:
        if (home / "postgres").is_dir():
            Postgres(home / "postgres").remove()  # its data are not always in the folder
    shutil.rmtree(FOLDER)
    return None


if __name__ == "__main__":
    sys.exit(main())
