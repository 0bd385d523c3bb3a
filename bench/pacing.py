"""A service that emits at a steady rate: `python -m bench.pacing PER_SECOND COUNT ACCOUNTS` prints what happened.

Each event is a `dispatcher.emit` with a commit of its own. Prints a JSON object: event id → CLOCK_MONOTONIC before the
call, and after it, which is right after the commit.
"""

import json
import sys
import time
from collections.abc import Iterator

import dispatcher
from bench.load import EVENT, body


def steps(count: int, per_second: float) -> Iterator[int]:
    """0, 1, 2 ..., each when it is due."""
    first_s = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, first_s + number / per_second - time.monotonic()))
        yield number


def main() -> None:
    """Emits, then prints."""
    per_second, count, accounts = (int(argument) for argument in sys.argv[1:])
    emit = dispatcher.emit
    emit(EVENT, account="paced0", **body())  # connects
    time.sleep(0.5)
    stamps = {}
    for number in steps(count, per_second):
        called_s = time.monotonic()
        event = emit(EVENT, account=f"paced{number % accounts}", **body())
        stamps[str(event.id)] = (called_s, time.monotonic())
    json.dump(stamps, sys.stdout)


if __name__ == "__main__":
    main()
