"""`python -m bench.portal`: how long the server takes for each page of the portal, with SIZE deliveries stored.

    stored     SIZE deliveries with an attempt each, and a fifth of SIZE events, of one account with 20 webhooks, over
               ten days; 2 % of them failed, and 10,000 more are pending
    each       the page is asked for by a customer's session, as the application answers it, its queries included;
               what a frame around it and the network take is not in it

Prints p50 and p95 in milliseconds, writes portal.json. The bar: p95 ≤ 100 ms for each page.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from flask.testing import FlaskClient
from rich.console import Console
from rich.table import Table

from bench import load
from bench.latency import percentile
from bench.rig import Rig, say
from dispatcher.access import portal
from dispatcher.storage.admin import portal_sessions
from dispatcher.storage.pipeline import events
from dispatcher.web.app import create_app

SIZE, TIMES, BAR_MS = 1_000_000, 100, 100.0
WEBHOOKS, FAN_OUT, DAYS, PENDING = 20, 5, 10, 10_000
BATCH = 100_000

_MAKE_DAYS = "select dispatcher.create_partitions(current_date - n) from generate_series(1, %s) n"

# An event's id begins with its second (`ids.first_event_id`).
_FILL_EVENTS = """
insert into dispatcher.events (id, account_id, name, created_at, body)
select ((extract(epoch from at)::bigint - 1577836800) << 23) + n, (select min(id) from dispatcher.accounts),
    case when n %% 4 = 0 then 'invoice_sent' else 'invoice_paid' end, at,
    json_build_object('invoice', json_build_object('id', n, 'number', '2026-' || n, 'note', repeat('x', 500)))
from (select n, now() - interval '1 hour' - (%(days)s - 1) * interval '1 day' * (1 - n / %(total)s::float8) as at
    from generate_series(%(first)s::int, %(last)s::int) n) e
"""

# Of each event five deliveries to five of the webhooks.
_FILL_DELIVERIES = """
with inserted as (
    insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, attempt_count, finished_on,
        created_at, updated_at)
    select id, event_id, webhook_id, dispatcher.new_idempotency_key(id),
        case when id %% 50 = 0 then 'failed' else 'delivered' end, 1, created_at::date, created_at, created_at
    from (select nextval('dispatcher.delivery_id') as id, e.id as event_id, e.created_at,
            (select min(id) from dispatcher.webhooks) + (e.id %% 4)::int * 5 + k as webhook_id
        from dispatcher.events e cross join generate_series(0, %(fan_out)s - 1) k
        where e.id > %(after)s and e.id <= %(until)s order by e.id, k) d
    returning id, state, finished_on, created_at)
insert into dispatcher.attempts (delivery_id, number, request_id, url, status, body, started_at, finished_at,
    recorded_on)
select id, 1, gen_random_uuid(), 'http://127.0.0.1/hook', case state when 'failed' then '500' else '200' end, 'ok',
    created_at, created_at + interval '80 ms', finished_on from inserted
"""

_FILL_STATS = """
insert into dispatcher.figures_by_hour (webhook_id, hour, delivered, failed, failed_attempts)
select w.id, date_trunc('hour', now()) - n * interval '1 hour', 200, 4, 4
from dispatcher.webhooks w cross join generate_series(0, 24 * 9) n
"""


def main() -> None:
    """Fills, measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m bench.portal", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=SIZE, help="stored deliveries")
    parser.add_argument("--times", type=int, default=TIMES, help="how often each page is asked for")
    parser.add_argument("--folder", type=Path, default=Path("bench-results"), help="where the result is written")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dispatcher-portal-") as temporary, Rig(Path(temporary)) as rig:
        fill(rig, arguments.size)
        pages = measure(rig, arguments.times)
    _show(pages)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path = arguments.folder / "portal.json"
    path.write_text(json.dumps({"deliveries": arguments.size, "pages": pages}, indent=2) + "\n", encoding="utf-8")
    print(f"written: {path}")


def fill(rig: Rig, size: int) -> None:
    """The rows of ten days, with what is pending now."""
    accounts = load.make_accounts(rig, 1, ["http://127.0.0.1:9/hook"] * WEBHOOKS)
    rig.sql(_MAKE_DAYS, [DAYS])
    count = size // FAN_OUT
    for first in range(1, count + 1, BATCH):
        last = min(first + BATCH - 1, count)
        rig.sql(_FILL_EVENTS, {"first": first, "last": last, "total": count, "days": DAYS})
    after = 0
    while batch := rig.sql(
        "select max(id) from (select id from dispatcher.events where id > %s order by id limit %s) e",
        [after, BATCH // FAN_OUT],
    )[0][0]:
        rig.sql(_FILL_DELIVERIES, {"after": after, "until": batch, "fan_out": FAN_OUT})
        after = batch
    rig.sql(_FILL_STATS)
    load.record_events(rig, accounts, PENDING // WEBHOOKS)
    rig.container.storage.transact(events.fan_out, PENDING)
    for table in ("events", "deliveries", "deliveries_waiting", "attempts", "figures_by_hour"):
        rig.sql(f"vacuum analyze dispatcher.{table}")
    rig.sql("checkpoint")
    say(f"{rig.sql('select count(*) from dispatcher.deliveries')[0][0]:,} deliveries stored")


def measure(rig: Rig, times: int) -> dict[str, dict[str, float]]:
    """Page → its p50 and p95 in milliseconds."""
    client = create_app(rig.container).test_client()
    slug = rig.sql("select slug from dispatcher.accounts")[0][0]
    _, token = portal.create(rig.container.storage, slug, {"role": "manage", "expires_in": 43_200})
    started = rig.container.storage.transact(portal_sessions.start, token)
    assert started is not None
    client.set_cookie("portal", started[1], path="/portal")
    return {name: _timed(client, f"/portal/accounts/{slug}{path}", times) for name, path in _pages(rig).items()}


def _pages(rig: Rig) -> dict[str, str]:
    (webhook,) = rig.sql("select min(id) from dispatcher.webhooks")[0]
    newest, event = rig.sql("select id, event_id from dispatcher.deliveries order by id desc limit 1")[0]
    (oldest, old_event, key) = rig.sql(
        "select id, event_id, idempotency_key from dispatcher.deliveries where finished_on = (select min(finished_on)"
        " from dispatcher.deliveries) order by id limit 1"
    )[0]
    (pending,) = rig.sql("select max(id) from dispatcher.deliveries_waiting")[0]
    day = (
        f"since={rig.sql('select current_date - 5')[0][0]}T00:00&until={rig.sql('select current_date - 4')[0][0]}T00:00"
    )
    return {
        "overview": "/",
        "overview, refreshed": "/stats",
        "webhooks": "/webhooks",
        "webhook": f"/webhooks/{webhook}",
        "deliveries": "/deliveries",
        "deliveries, older": f"/deliveries?before={(newest + oldest) // 2}",
        "deliveries of a webhook": f"/deliveries?webhook_id={webhook}",
        "deliveries that failed": "/deliveries?state=failed",
        "deliveries pending": "/deliveries?state=pending",
        "deliveries of an event's name": "/deliveries?event_name=invoice_sent",
        "deliveries of a name without any": "/deliveries?event_name=expense_paid",
        "deliveries of a day": f"/deliveries?{day}",
        "deliveries of a day that failed": f"/deliveries?state=failed&{day}",
        "deliveries by a key": f"/deliveries?idempotency_key={key}",
        "deliveries of a resource": "/deliveries?resource_id=199990",
        "a delivery": f"/deliveries/{newest}",
        "a delivery, old": f"/deliveries/{oldest}",
        "a delivery, pending": f"/deliveries/{pending}",
        "events": "/events",
        "events of a name": "/events?event_name=invoice_sent",
        "events of a resource": "/events?resource_id=199990",
        "deliveries, live": "/deliveries/live/rows?ends=9999999999",
        "search by id": f"/search?q={newest}",
        "search by text": "/search?q=2026-19999&text=1",
        "an event type": "/catalogue/invoice_paid",
        "an event": f"/events/{event}",
        "an event, old": f"/events/{old_event}",
        "replays": "/replays",
        "audit log": "/audit-log",
    }


def _timed(client: FlaskClient, path: str, times: int) -> dict[str, float]:
    took_ms = []
    for _ in range(times + 3):
        began_s = time.perf_counter()
        response = client.get(path)
        took_ms.append((time.perf_counter() - began_s) * 1000)
        assert response.status_code == 200, (path, response.status_code)
    counted = sorted(took_ms[3:])  # the first ones compile templates and statements
    return {"p50_ms": percentile(counted, 0.5), "p95_ms": percentile(counted, 0.95)}


def _show(pages: dict[str, dict[str, float]]) -> None:
    console = Console(width=None if Console().is_terminal else 120, highlight=False)
    table = Table("page", "p50", "p95", "", box=None, pad_edge=False)
    for name, page in pages.items():
        kept = "kept" if page["p95_ms"] <= BAR_MS else "MISSED"
        table.add_row(name, f"{page['p50_ms']:.1f} ms", f"{page['p95_ms']:.1f} ms", kept)
    console.print(table)


if __name__ == "__main__":
    main()
