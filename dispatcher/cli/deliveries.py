"""`dispatcher deliveries` and `dispatcher replay`: what became of each event, attempt by attempt."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import click

from dispatcher.cli.output import json_option, print_json, print_table
from dispatcher.flow import replay as flow
from dispatcher.model.delivery import State
from dispatcher.services import services
from dispatcher.storage import accounts, reports
from dispatcher.storage.reports import DeliveryRow
from schemas.failed_delivery import FailedDeliverySchema
from schemas.fields import time_zone

_failed_delivery = FailedDeliverySchema()


@click.group()
def deliveries() -> None:
    """Deliveries: one event for one webhook, with every attempt."""


@deliveries.command("list")
@click.option("--account", "slug", required=True, metavar="SLUG", help="The account.")
@click.option("--webhook", "webhook_id", type=int, metavar="ID", help="Only this webhook's.")
@click.option("--state", type=click.Choice([str(state) for state in State]), help="Only those in this state.")
@click.option("--before", type=int, metavar="ID", help="Older than this delivery: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=40, show_default=True)
@json_option
def list_(slug: str, webhook_id: int | None, state: str | None, before: int | None, limit: int, as_json: bool) -> None:
    """List deliveries with their attempts, newest first; `--json` speaks as API v3's failed deliveries do."""
    storage = services().storage
    storage.run(lambda connection: accounts.find(connection, slug))
    found = storage.run(
        lambda connection: reports.deliveries(
            connection, slug, webhook_id=webhook_id, state=state, before=before, limit=limit
        )
    )
    if as_json:
        print_json([_in_api_words(one) for one in found])
        return
    print_table(
        ["id", "event", "webhook", "state", "attempts", "last result", "next try"],
        [
            (
                one.id,
                one.event_name,
                one.webhook_id,
                one.state,
                len(one.attempts),
                _result(one),
                one.next_attempt_at,
            )
            for one in found
        ],
        empty="no deliveries",
    )


@deliveries.command()
@click.argument("delivery")
@json_option
def show(delivery: str, as_json: bool) -> None:
    """Show DELIVERY (its id or its Idempotency-Key) with its body and attempts, newest first."""
    found = services().storage.run(lambda connection: reports.delivery(connection, delivery))
    if as_json:
        print_json(_in_api_words(found))
        return
    print(f"delivery {found.id}: {found.event_name} to webhook {found.webhook_id} ({found.webhook_url})")
    print(f"Idempotency-Key {found.idempotency_key}")
    print(
        f"state {found.state}"
        + (f", next try {found.next_attempt_at:%Y-%m-%d %H:%M:%S%z}" if found.next_attempt_at else "")
    )
    print()
    print_table(
        ["attempt", "result", "reason", "started", "ms", "answer"],
        [
            (
                one.number,
                one.status,
                one.reason,
                one.started_at,
                round((one.finished_at - one.started_at).total_seconds() * 1000),
                (one.body or "")[:60],
            )
            for one in found.attempts
        ],
        empty="no attempts yet",
    )
    print()
    print(json.dumps(json.loads(found.body_json), indent=2, ensure_ascii=False))


@click.command()
@click.argument("delivery")
@json_option
def replay(delivery: str, as_json: bool) -> None:
    """Send DELIVERY (id or Idempotency-Key) once more: the same key, its tries start anew."""
    own = services()
    found = flow.replay(own.storage, own.schedule, delivery)
    if as_json:
        print_json(_in_api_words(found))
    else:
        print(f"delivery {found.id} is pending again")


def _result(delivery: DeliveryRow) -> str | None:
    return delivery.attempts[0].status if delivery.attempts else None


def _in_api_words(delivery: DeliveryRow) -> Any:
    """API v3, Webhooks, Failed deliveries; our state and counts come on top."""
    zone = ZoneInfo(delivery.time_zone)
    written = time_zone.set(zone)
    dumped: dict[str, Any] = dict(
        _failed_delivery.dump(
            {
                "id": delivery.id,
                "event_name": delivery.event_name,
                "idempotency_key": delivery.idempotency_key,
                "url": delivery.webhook_url,
                "body": {
                    "webhook_id": delivery.webhook_id,
                    "event_name": delivery.event_name,
                    "created_at": delivery.event_created_at.astimezone(zone),
                    "body": json.loads(delivery.body_json),
                },
                "created_at": delivery.created_at,
                "updated_at": delivery.updated_at,
                "deliveries": [
                    {
                        "id": one.id,
                        "request_id": one.request_id,
                        "response_status": one.status,
                        "response_content_type": one.content_type,
                        "response_body": one.body,
                        "started_at": one.started_at,
                        "finished_at": one.finished_at,
                        "created_at": one.finished_at,
                    }
                    for one in delivery.attempts
                ],
            }
        )
    )
    time_zone.reset(written)
    return dumped | {"state": delivery.state, "next_attempt_at": delivery.next_attempt_at}
