"""For operators: `migrate`, `status`, `reconcile`, `repair`."""

import click

from dispatcher.cli.options import json_option
from dispatcher.cli.output import Column, print_json, print_table, show
from dispatcher.current import current_container
from dispatcher.storage import migrate as migrations
from dispatcher.storage.stats.backlog import OVERDUE, measure

_WEBHOOKS_SHOWN = 20


@click.command()
def migrate() -> None:
    """Apply all pending migrations to the database. It is safe to run this again."""
    print(f"database is at revision {migrations.upgrade(current_container().storage)}")


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show the backlog and its age, the live workers, and the health of the webhooks."""
    container = current_container()
    backlog, webhooks = container.storage.read(measure, container.schedule.overdue(OVERDUE))
    webhooks = webhooks[:_WEBHOOKS_SHOWN]
    survey = container.schedule.survey([webhook.webhook_id for webhook in webhooks])
    records = [
        {
            "webhook": webhook,
            "health": survey.healths.get(webhook.webhook_id),
            "paused_s": survey.pauses_s.get(webhook.webhook_id),
        }
        for webhook in webhooks
    ]
    queues, workers = container.queue.lengths(), list(survey.workers)
    if as_json:
        clock = {"due": survey.due, "held": survey.held, "paused": survey.paused}
        print_json({"backlog": backlog, "clock": clock, "queues": queues, "workers": workers, "webhooks": records})
        return
    about = "" if backlog.is_exact else "about "
    print(f"events not fanned out  {about}{backlog.events_waiting}{_age(backlog.oldest_event_age_s)}")
    print(f"deliveries due         {about}{backlog.due}{_age(backlog.oldest_due_age_s)}")
    print(f"retries scheduled      {about}{backlog.retrying}")
    print(f"leased by workers      {about}{backlog.leased}")
    print("queues                 " + ", ".join(f"{name} {size}" for name, size in queues.items()))
    print("workers                " + (", ".join(workers) or "none; no deliveries are sent"))
    print()
    print_table(records, _COLUMNS, empty="no webhook has pending deliveries")


_COLUMNS: dict[str, Column] = {
    "webhook": lambda one: one["webhook"].webhook_id,
    "account": lambda one: one["webhook"].account_slug,
    "active": lambda one: one["webhook"].active,
    "pending": lambda one: one["webhook"].waiting,
    "next attempt": lambda one: one["webhook"].next_attempt_at,
    "window": lambda one: one["health"] and int(one["health"].window),
    "consecutive failures": lambda one: one["health"] and one["health"].consecutive_failures,
    "latency ms": lambda one: one["health"] and f"{one['health'].latency_s * 1000:.0f}",
    "paused s": lambda one: one["paused_s"] and round(one["paused_s"], 1),
}


@click.command()
@json_option
def reconcile(as_json: bool) -> None:
    """Rebuild the schedule in Redis from Postgres now. Workers do this every 15 s."""
    result = current_container().reconciler.reconcile()
    fan_out = "; events are pending fan-out, a worker was notified" if result.events_waiting else ""
    show(result, as_json, f"{result.webhook_count} webhooks have pending deliveries{fan_out}")


@click.command()
@json_option
def repair(as_json: bool) -> None:
    """Delete the keys of Celery and the schedule, which may make workers crash, and rebuild the schedule.

    No delivery is lost. Paused receivers are probed again.
    """
    deleted = current_container().reconciler.repair()
    sentence = f"deleted {deleted} Celery keys; the schedule was rebuilt from Postgres"
    show({"deleted_keys": deleted}, as_json, sentence)


def _age(seconds: float | None) -> str:
    return "" if seconds is None else f" (oldest {max(0.0, seconds):.1f} s)"
