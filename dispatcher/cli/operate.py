"""For operators: `migrate`, `status`, `reconcile`, `repair`."""

import click

from dispatcher.cli.output import json_option, print_json, print_table
from dispatcher.container import current_container
from dispatcher.storage import migrate as migrations
from dispatcher.storage.stats.backlog import OVERDUE, measure


@click.command()
def migrate() -> None:
    """Apply all pending migrations to the database. It is safe to run this again."""
    print(f"database is at revision {migrations.upgrade(current_container().storage)}")


_SHOWN = 20


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show the backlog and its age, the live workers, and the health of the webhooks."""
    container = current_container()
    overdue = container.schedule.overdue(OVERDUE)
    backlog, webhooks = container.storage.read(measure, overdue)
    webhooks = webhooks[:_SHOWN]
    survey = container.schedule.survey([webhook.webhook_id for webhook in webhooks])
    healths, pauses = survey.healths, survey.pauses_s
    queues = container.queue.lengths()
    workers = list(survey.workers)
    found = {
        "backlog": backlog,
        "clock": {"due": survey.due, "held": survey.held, "paused": survey.paused},
        "queues": queues,
        "workers": workers,
        "webhooks": [
            {
                "webhook": webhook,
                "health": healths.get(webhook.webhook_id),
                "paused_s": pauses.get(webhook.webhook_id),
            }
            for webhook in webhooks
        ],
    }
    if as_json:
        print_json(found)
        return
    about = "" if backlog.is_exact else "about "
    print(f"events not fanned out  {about}{backlog.events_waiting}{_age(backlog.oldest_event_age_s)}")
    print(f"deliveries due         {about}{backlog.due}{_age(backlog.oldest_due_age_s)}")
    print(f"waiting for a retry    {about}{backlog.retrying}")
    print(f"being sent             {about}{backlog.leased}")
    print("queues                 " + ", ".join(f"{name} {size}" for name, size in queues.items()))
    print("workers                " + (", ".join(workers) or "none; no deliveries are sent"))
    rows = []
    for webhook in webhooks:
        health = healths.get(webhook.webhook_id)
        rows.append(
            (
                webhook.webhook_id,
                webhook.account_slug,
                webhook.active,
                webhook.waiting,
                webhook.next_attempt_at,
                health and int(health.window),
                health and health.failures_in_a_row,
                health and f"{health.latency_s * 1000:.0f}",
                (paused_s := pauses.get(webhook.webhook_id)) and round(paused_s, 1),
            )
        )
    print()
    print_table(
        [
            "webhook",
            "account",
            "active",
            "pending",
            "next attempt",
            "window",
            "consecutive failures",
            "latency ms",
            "paused s",
        ],
        rows,
        empty="no webhook has pending deliveries",
    )


@click.command()
@json_option
def reconcile(as_json: bool) -> None:
    """Rebuild the schedule in Redis from Postgres now. Workers do this every 15 s."""
    found = current_container().reconciler.reconcile()
    if as_json:
        print_json(found)
    else:
        print(
            f"{found.webhook_count} webhooks have pending deliveries"
            + ("; events are pending fan-out, a worker was notified" if found.events_waiting else "")
        )


@click.command()
@json_option
def repair(as_json: bool) -> None:
    """Delete the keys of Celery and the schedule, which may make workers crash, and rebuild the schedule.

    No delivery is lost. Paused receivers are probed again.
    """
    deleted = current_container().reconciler.repair()
    if as_json:
        print_json({"deleted_keys": deleted})
    else:
        print(f"deleted {deleted} Celery keys; the schedule was rebuilt from Postgres")


def _age(seconds: float | None) -> str:
    return "" if seconds is None else f" (oldest {max(0.0, seconds):.1f} s)"
