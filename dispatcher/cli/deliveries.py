"""`dispatcher deliveries`: what became of each event, attempt by attempt."""

import json
from datetime import datetime
from typing import Any

import click

from dispatcher.cli.backend import backend
from dispatcher.cli.options import EventName, account_option, json_option, one_of
from dispatcher.cli.output import local_time, print_json, print_table, show_list, time_of
from dispatcher.cli.output import show as show_record
from dispatcher.model.delivery import State


@click.group()
def deliveries() -> None:
    """Show deliveries (one event for one webhook) and their attempts; attempt a pending one now."""


@deliveries.command("list")
@account_option
@click.option("--webhook", "webhook_id", type=int, metavar="ID", help="Only this webhook's.")
@click.option("--event", "event_name", type=EventName(), help="Only deliveries of this event.")
@click.option("--state", type=one_of(State), help="Only deliveries in this state.")
@click.option("--before", type=int, metavar="ID", help="Only deliveries older than this one: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=40, show_default=True)
@json_option
def list_(slug: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List deliveries, newest first."""
    show_list(
        backend().deliveries(slug, filters, limit),
        as_json,
        {
            "id": "id",
            "event": "event_name",
            "webhook": "webhook_id",
            "state": "state",
            "attempts": "attempt_count",
            "last result": "last_response_status",
            "next attempt": time_of("next_attempt_at"),
        },
        empty="no deliveries",
    )


@deliveries.command()
@click.argument("delivery")
@account_option
@json_option
def show(delivery: str, slug: str | None, as_json: bool) -> None:
    """Show DELIVERY (its id or its Idempotency-Key) with its body and attempts, newest first."""
    record = backend().delivery(slug, delivery)
    if as_json:
        print_json(record)
        return
    print(f"delivery {record['id']}: {record['event_name']} to webhook {record['webhook_id']} ({record['url']})")
    print(f"Idempotency-Key {record['idempotency_key']}")
    due = record["next_attempt_at"]
    next_attempt = f", next attempt {local_time(datetime.fromisoformat(due))}" if due else ""
    print(f"state {record['state']}{next_attempt}")
    if record["waiting"]:
        print(record["waiting"]["text"])
    print()
    print_table(
        record["attempts"],
        {
            "attempt": "number",
            "result": "response_status",
            "reason": "reason",
            "started": time_of("started_at"),
            "ms": _milliseconds,
            "response": lambda attempt: (attempt["response_body"] or "")[:60],
        },
        empty="no attempts yet",
    )
    print()
    print(json.dumps(record["body"]["body"], indent=2, ensure_ascii=False))


@deliveries.command()
@click.argument("delivery")
@account_option
@json_option
def retry(delivery: str, slug: str | None, as_json: bool) -> None:
    """Attempt DELIVERY (its id or its Idempotency-Key), which is pending, now: also where its receiver is paused."""
    show_record(backend().retry(slug, delivery), as_json, f"delivery {delivery} is due now")


def _milliseconds(attempt: dict[str, str]) -> int:
    duration = datetime.fromisoformat(attempt["finished_at"]) - datetime.fromisoformat(attempt["started_at"])
    return round(duration.total_seconds() * 1000)
