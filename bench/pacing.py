"""A service that emits at a steady rate: `python -m bench.pacing PER_SECOND COUNT ACCOUNTS` prints what happened.

Each event is a `dispatcher.emit` with a commit of its own. Prints a JSON object: event id → CLOCK_MONOTONIC before the
call, right after the commit, and after the call.
"""

import json
import sys
import time

import dispatcher
from bench.load import EVENT, body
from dispatcher.services import services


def main() -> None:
    """Emits, then prints."""
    per_second, count, accounts = (int(argument) for argument in sys.argv[1:])
    committed: list[float] = []
    nudger = services().nudger
    nudge = nudger.nudge

    def noted() -> bool:
        committed.append(time.monotonic())
        return nudge()

    nudger.nudge = noted  # type: ignore[method-assign] # `emit` nudges once it has committed
    emit = dispatcher.emit
    emit(EVENT, account="paced0", **body())  # connects
    time.sleep(0.5)
    committed.clear()
    stamps = {}
    first_s = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, first_s + number / per_second - time.monotonic()))
        called_s = time.monotonic()
        event = emit(EVENT, account=f"paced{number % accounts}", **body())
        returned_s = time.monotonic()
        # While nudges are skipped Postgres announces the commit, and the call ends with it.
        stamps[str(event.id)] = (called_s, committed.pop() if committed else returned_s, returned_s)
    json.dump(stamps, sys.stdout)


if __name__ == "__main__":
    main()
