"""`python -m bench.filters`: what filters cost the fan-out, in interleaved rounds on one database.

    many       one account with 10,000 webhooks, an event at a time
    few        1,000 accounts with 10 webhooks each, 500 events at a time

Each with and without filters, all of which match. Prints the seconds of CPU of Postgres and the ratio. The bar: with
10,000 filters ≤ 1.5 times of what it costs without.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg2

from bench.rig import ROOT, Rig
from dispatcher.pipeline.emit import NewEvent
from dispatcher.pipeline.filters import compile_filter
from dispatcher.storage.pipeline import events

ROUNDS = 8
WEBHOOKS, ACCOUNTS = 10_000, 1_000
FILTER = {
    "invoice": {"total": [{"numeric": [">=", 0]}], "number": [{"prefix": "2"}], "status": [{"anything-but": "open"}]}
}
BAR = 1.5

_FILL = """
with made as (
    insert into dispatcher.accounts (slug, time_zone)
    select %s || n, 'UTC' from generate_series(1, %s) n returning id)
insert into dispatcher.webhooks (account_id, webhook_url, signing_secret_encrypted, events, filter, filter_path)
select id, 'http://127.0.0.1:9/', 'x', array['invoice_paid'], %s, %s
from made cross join generate_series(1, %s)
"""


@dataclass(frozen=True, slots=True)
class Setup:
    """Accounts of a name, so many events of theirs in one fan-out."""

    name: str
    accounts: int
    each: int
    count: int


SETUPS = (Setup("many", 1, WEBHOOKS, 1), Setup("few", ACCOUNTS, WEBHOOKS // ACCOUNTS, 500))


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
            kept = "kept  " if ratio <= BAR else "MISSED"
            print(
                f"{kept}  {setup.name}: {median(without) * 1000:.0f} ms without filters, "
                f"{median(filtered) * 1000:.0f} ms with, {ratio:.2f} times"
            )


def _fill(rig: Rig, setup: Setup, filter_: object) -> None:
    text, path = filter_ and json.dumps(filter_), filter_ and compile_filter(filter_, ["invoice_paid"])
    rig.sql(_FILL, [_slug(setup, filter_ is not None), setup.accounts, text, path, setup.each])


def _slug(setup: Setup, has_filter: bool) -> str:
    return f"{setup.name}-{'filtered' if has_filter else 'plain'}-"


def _measure(rig: Rig, setup: Setup, body: dict[str, object]) -> tuple[list[float], list[float]]:
    """Seconds of CPU of each round, without and with filters."""
    times: dict[bool, list[float]] = {False: [], True: []}
    with psycopg2.connect(rig.container.settings.database_url) as connection:
        for number in range(2 * (ROUNDS + 1)):
            has_filter = bool(number % 2)
            for n in range(setup.count):
                rig.container.emitter.emit(
                    f"{_slug(setup, has_filter)}{n % setup.accounts + 1}", [NewEvent(name="invoice_paid", body=body)]
                )
            took_s = _fan_out(connection, setup.count)
            if number > 1:  # the first of each warms up
                times[has_filter].append(took_s)
    return times[False], times[True]


def _fan_out(connection: "psycopg2.extensions.connection", count: int) -> float:
    """Seconds of CPU of the server's process."""
    before = _cpu_s(connection.info.backend_pid)
    found = events.fan_out(connection, 500)
    connection.commit()
    took_s = _cpu_s(connection.info.backend_pid) - before
    assert (found.event_count, found.delivery_count) == (
        count,
        count * (WEBHOOKS if count == 1 else WEBHOOKS // ACCOUNTS),
    )
    with connection.cursor() as cursor:
        cursor.execute("delete from dispatcher.deliveries_waiting")
    connection.commit()
    return took_s


def _cpu_s(pid: int) -> float:
    text = Path(f"/proc/{pid}/schedstat").read_text("ascii")
    return int(text.split()[0]) / 1e9


if __name__ == "__main__":
    main()
