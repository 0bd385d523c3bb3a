"""`dispatcher deliveries`: what became of each event, attempt by attempt."""

import json
from datetime import datetime
from typing import Any

import click

from dispatcher.cli.backend import account_option, backend
from dispatcher.cli.output import json_option, local_time, print_json, print_table
from dispatcher.model.delivery import State
from schemas import EVENT_TYPES


@click.group()
def deliveries() -> None:
    """Show deliveries (one event for one webhook) and their attempts."""


@deliveries.command("list")
@account_option
@click.option("--webhook", "webhook_id", type=int, metavar="ID", help="Only this webhook's.")
@click.option(
    "--event", "event_name", type=click.Choice(list(EVENT_TYPES)), metavar="NAME", help="Only deliveries of this event."
)
@click.option("--state", type=click.Choice([str(state) for state in State]), help="Only deliveries in this state.")
@click.option("--before", type=int, metavar="ID", help="Only deliveries older than this one: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=40, show_default=True)
@json_option
def list_(slug: str | None, limit: int, as_json: bool, **wanted: Any) -> None:
    """List deliveries, newest first."""
    found = backend().deliveries(slug, wanted, limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ["id", "event", "webhook", "state", "attempts", "last result", "next attempt"],
        [
            (
                one["id"],
                one["event_name"],
                one["webhook_id"],
                one["state"],
                one["attempt_count"],
                one["last_response_status"],
                _time(one["next_attempt_at"]),
            )
            for one in found
        ],
        empty="no deliveries",
    )


@deliveries.command()
@click.argument("delivery")
@account_option
@json_option
def show(delivery: str, slug: str | None, as_json: bool) -> None:
    """Show DELIVERY (its id or its Idempotency-Key) with its body and attempts, newest first."""
    found = backend().delivery(slug, delivery)
    if as_json:
        print_json(found)
        return
    print(f"delivery {found['id']}: {found['event_name']} to webhook {found['webhook_id']} ({found['url']})")
    print(f"Idempotency-Key {found['idempotency_key']}")
    due = _time(found["next_attempt_at"])
    print(f"state {found['state']}" + (f", next attempt {local_time(due)}" if due else ""))
    print()
    print_table(
        ["attempt", "result", "reason", "started", "ms", "response"],
        [
            (
                one["number"],
                one["response_status"],
                one["reason"],
                _time(one["started_at"]),
                _milliseconds(one),
                (one["response_body"] or "")[:60],
            )
            for one in found["attempts"]
        ],
        empty="no attempts yet",
    )
    print()
    print(json.dumps(found["body"]["body"], indent=2, ensure_ascii=False))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _milliseconds(attempt: dict[str, str]) -> int:
    took = datetime.fromisoformat(attempt["finished_at"]) - datetime.fromisoformat(attempt["started_at"])
    return round(took.total_seconds() * 1000)
