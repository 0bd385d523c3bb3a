"""`python -m bench.filters`: what filters cost the fan-out, in interleaved rounds on one database.

    many       one account with 10,000 webhooks, an event at a time
    few        1,000 accounts with 10 webhooks each, 500 events at a time
    others     the same, where only one of the 500 events has filters, of a webhook more in each account

Each with and without filters, all of which match. Prints the CPU of Postgres and the ratio. The bars: with 10,000
filters ≤ 1.5 times of what it costs without; ≤ 1.1 where filters are for other events.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg2

from bench.rig import ROOT, Rig
from dispatcher.pipeline.emit import NewEvent
from dispatcher.pipeline.filters import compile_filter
from dispatcher.storage.pipeline import events

ROUNDS = 8
WEBHOOKS, ACCOUNTS = 10_000, 1_000
EVENT, OTHER = "invoice_paid", "invoice_sent"
FILTER = {
    "invoice": {"total": [{"numeric": [">=", 0]}], "number": [{"prefix": "2"}], "status": [{"anything-but": "open"}]}
}

_ACCOUNTS = "insert into dispatcher.accounts (slug, time_zone) select %s || n, 'UTC' from generate_series(1, %s) n"
_WEBHOOKS = """
insert into dispatcher.webhooks (account_id, webhook_url, signing_secret_encrypted, events, filter, filter_path)
select id, 'http://127.0.0.1:9/', 'x', array[%s], %s, %s
from dispatcher.accounts cross join generate_series(1, %s) where slug like %s || '%%'
"""


@dataclass(frozen=True, slots=True)
class Setup:
    """Accounts of a name, so many events of theirs in one fan-out. `bar`: times of what it costs without filters."""

    name: str
    accounts: int
    each: int
    count: int
    bar: float | None
    of_others: bool = False
    """Whether filters are those of one more webhook in each account, for another event, which comes once."""

    @property
    def deliveries(self) -> int:
        """Of one round."""
        return (self.count - 1) * self.each + 1 if self.of_others else self.count * self.each

    def event(self, number: int, body: Mapping[str, Any]) -> NewEvent:
        """That of a round with this number."""
        is_other = self.of_others and number == 0
        return NewEvent(name=OTHER, body={"invoice": body["invoice"]}) if is_other else NewEvent(name=EVENT, body=body)


EACH = WEBHOOKS // ACCOUNTS
SETUPS = (
    Setup("many", 1, WEBHOOKS, 1, 1.5),
    Setup("few", ACCOUNTS, EACH, 500, None),
    Setup("others", ACCOUNTS, EACH, 500, 1.1, of_others=True),
)


def main() -> None:
    """Measures and prints."""
    body = json.loads((ROOT / "bench" / "invoice_paid.json").read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="dispatcher-filters-") as folder, Rig(Path(folder)) as rig:
        for setup in SETUPS:
            for filter_ in (None, FILTER):
                _fill(rig, setup, filter_)
        rig.sql("analyze")
        for setup in SETUPS:
            without, filtered = _measure(rig, setup, body)
            ratio = median(filtered) / median(without)
            kept = "      " if setup.bar is None else "kept  " if ratio <= setup.bar else "MISSED"
            print(
                f"{kept}  {setup.name}: {median(without) * 1000:.0f} ms without filters, "
                f"{median(filtered) * 1000:.0f} ms with, {ratio:.2f} times"
            )


def _fill(rig: Rig, setup: Setup, filter_: object) -> None:
    slug = _slug(setup, filter_ is not None)
    text, path = filter_ and json.dumps(filter_), filter_ and compile_filter(filter_, [EVENT])
    rig.sql(_ACCOUNTS, [slug, setup.accounts])
    if setup.of_others:
        rig.sql(_WEBHOOKS, [OTHER, text, path, 1, slug])
        text = path = None
    rig.sql(_WEBHOOKS, [EVENT, text, path, setup.each, slug])


def _slug(setup: Setup, has_filter: bool) -> str:
    return f"{setup.name}-{'filtered' if has_filter else 'plain'}-"


def _measure(rig: Rig, setup: Setup, body: dict[str, object]) -> tuple[list[float], list[float]]:
    """Seconds of CPU of each round, without and with filters."""
    times: dict[bool, list[float]] = {False: [], True: []}
    with psycopg2.connect(rig.container.settings.database_url) as connection:
        for number in range(2 * (ROUNDS + 1)):
            has_filter = bool(number % 2)
            for n in range(setup.count):
                slug = f"{_slug(setup, has_filter)}{n % setup.accounts + 1}"
                rig.container.emitter.emit(slug, [setup.event(n, body)])
            took_s = _fan_out(connection, setup)
            if number > 1:  # the first of each warms up
                times[has_filter].append(took_s)
    return times[False], times[True]


def _fan_out(connection: "psycopg2.extensions.connection", setup: Setup) -> float:
    """Seconds of CPU of the server's process."""
    before = _cpu_s(connection.info.backend_pid)
    result = events.fan_out(connection, 500)
    connection.commit()
    took_s = _cpu_s(connection.info.backend_pid) - before
    assert (result.event_count, result.delivery_count) == (setup.count, setup.deliveries)
    with connection.cursor() as cursor:
        cursor.execute("delete from dispatcher.deliveries_waiting")
    connection.commit()
    return took_s


def _cpu_s(pid: int) -> float:
    text = Path(f"/proc/{pid}/schedstat").read_text("ascii")
    return int(text.split()[0]) / 1e9


if __name__ == "__main__":
    main()
