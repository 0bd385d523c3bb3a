"""Prometheus itself reads what `deploy/` gives it; each alert fires when it should, only then, and says what it is."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.places import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """`bad` and `good`: series → values, each 15 s, as promtool writes them (`0+60x240`: so much more each time)."""

    bad: dict[str, str]
    good: dict[str, str]
    says: str
    after: str
    labels: dict[str, str] = field(default_factory=dict)


def counters(name: str, label: str, **growths: int) -> dict[str, str]:
    """Counters of each label's value, which grow by so much each 15 s for an hour."""
    return {
        f'{name}{{{label}="{value.strip("_").replace("_", ".")}"}}': f"0+{growth}x240"
        for value, growth in growths.items()
    }


def buckets(name: str, **growths: int) -> dict[str, str]:
    """A histogram; `_300=10`: ten more up to 300 s each 15 s."""
    return counters(f"{name}_bucket", "le", **growths) | {
        f'{name}_bucket{{le="+Inf"}}': f"0+{max(growths.values())}x240"
    }


DUE = "dispatcher_deliveries_due_oldest_seconds"
AHEAD = "dispatcher_partitions_ahead_days"
FINISHED, ATTEMPTS = "dispatcher_deliveries_finished_total", "dispatcher_attempts_total"
CASES = {
    "DispatcherPartDown": Case(
        bad={'dispatcher_up{part="postgres"}': "0x240", 'dispatcher_up{part="redis"}': "1x240"},
        good={'dispatcher_up{part="postgres"}': "1x240"},
        says="postgres is not responding", after="3m", labels={"part": "postgres"},
    ),
    "NoWorkers": Case(
        bad={"dispatcher_workers": "0x240"}, good={"dispatcher_workers": "1x240"},
        says="No worker has sent a heartbeat for 30 s", after="2m",
    ),
    "EventsNotFannedOut": Case(
        bad={"dispatcher_events_pending_oldest_seconds": "90x240"},
        good={"dispatcher_events_pending_oldest_seconds": "60x240"},
        says="The oldest event has been pending fan-out for 1m 30s", after="3m",
    ),
    "OutboxDown": Case(
        bad={'dispatcher_outbox_up{outbox="orders"}': "0x240", 'dispatcher_outbox_up{outbox="stock"}': "1x240"},
        good={'dispatcher_outbox_up{outbox="orders"}': "1x240"},
        says="No worker can take events in from the outbox orders", after="3m", labels={"outbox": "orders"},
    ),
    "OutboxLate": Case(
        bad={'dispatcher_outbox_events_pending_oldest_seconds{outbox="orders"}': "90x240"},
        good={'dispatcher_outbox_events_pending_oldest_seconds{outbox="orders"}': "60x240"},
        says="The oldest event of the outbox orders has been pending for 1m 30s", after="3m",
        labels={"outbox": "orders"},
    ),
    "OutboxEventsFailed": Case(
        bad={'dispatcher_outbox_events_failed{outbox="orders"}': "2x240"},
        good={'dispatcher_outbox_events_failed{outbox="orders"}': "0x240"},
        says="2 events of the outbox orders were set aside", after="2m", labels={"outbox": "orders"},
    ),
    "DeliveriesLate": Case(
        bad={f'{DUE}{{queue="deliveries"}}': "75x240"},
        good={f'{DUE}{{queue="deliveries"}}': "5x240", f'{DUE}{{queue="deliveries.slow"}}': "75x240"},
        says="A delivery of a healthy webhook is overdue by 1m 15s", after="6m", labels={"queue": "deliveries"},
    ),
    "SlowDeliveriesLate": Case(
        bad={f'{DUE}{{queue="deliveries.slow"}}': "1200x240"},
        good={f'{DUE}{{queue="deliveries.slow"}}': "900x240"},
        says="A delivery of a slow webhook is overdue by 20m 0s", after="11m", labels={"queue": "deliveries.slow"},
    ),
    "DeliveriesFailing": Case(
        bad=counters(FINISHED, "state", delivered=90, failed=10),
        good=counters(FINISHED, "state", delivered=96, failed=4),
        says="10% of deliveries failed after their last attempt", after="40m",
    ),
    "AttemptsFailing": Case(
        # Success codes decide: 50 of the 2xx are none, and a 409 is one.
        bad=counters(ATTEMPTS, "outcome", _2xx=74, _4xx=1, _5xx=25) | counters(FINISHED, "state", delivered=25),
        good=counters(ATTEMPTS, "outcome", _2xx=2, _5xx=6) | counters(FINISHED, "state", delivered=2),
        says="75% of attempts fail", after="30m",
    ),
    "DeliverySlow": Case(
        bad=buckets("dispatcher_delivered_seconds", _300=0, _600=100),
        good=buckets("dispatcher_delivered_seconds", _300=96, _600=100),
        says="5 % of deliveries take longer than 9m 45s", after="40m",
    ),
    "LeasesLost": Case(
        bad={"dispatcher_leases_lost_total": "0x40 4x200"}, good={"dispatcher_leases_lost_total": "4x240"},
        says="4 leases expired without a recorded attempt", after="12m",
    ),
    "SecretsUnreadable": Case(
        bad={"dispatcher_secret_decryption_failures_total": "0x40 1x200"},
        good={"dispatcher_secret_decryption_failures_total": "7x240"},
        says="No key in a worker's SECRET_KEYS decrypts some webhooks' secrets", after="12m",
    ),
    "AlertsNotSent": Case(
        bad={'dispatcher_alerts_total{channel="email",outcome="failed"}': "0+1x240"},
        good={
            'dispatcher_alerts_total{channel="email",outcome="failed"}': "7x240",
            'dispatcher_alerts_total{channel="slack",outcome="sent"}': "0+1x240",
        },
        says="Alerts by email are not taken", after="20m", labels={"channel": "email", "outcome": "failed"},
    ),
    "ClientCertificatesExpiring": Case(
        bad={"dispatcher_client_certificates_expiring": "3x240"},
        good={"dispatcher_client_certificates_expiring": "0x240"},
        says="3 webhooks have client certificates that expire within 30 days", after="20m",
    ),
    "ManyBreakersOpen": Case(
        bad={'dispatcher_schedule_webhooks{set="paused"}': "51x240"},
        good={
            'dispatcher_schedule_webhooks{set="paused"}': "50x240",
            'dispatcher_schedule_webhooks{set="due"}': "900x240",
        },
        says="51 webhooks are backing off", after="16m", labels={"set": "paused"},
    ),
    "QueueMessagesPileUp": Case(
        bad={'dispatcher_queue_messages{queue="events"}': "5001x240"},
        good={'dispatcher_queue_messages{queue="events"}': "5000x240"},
        says="5001 messages are queued in events", after="11m", labels={"queue": "events"},
    ),
    "PartitionsMissing": Case(
        bad={f'{AHEAD}{{table="events"}}': "2x300", f'{AHEAD}{{table="attempts"}}': "7x300"},
        good={f'{AHEAD}{{table="events"}}': "3x300", f'{AHEAD}{{table="attempts"}}': "7x300"},
        says="Partitions exist for only 2 more days", after="61m",
    ),
    "PostgresSlow": Case(
        bad=buckets("dispatcher_worker_flush_seconds", _0_5=0, _1=100),
        good=buckets("dispatcher_worker_flush_seconds", _0_5=96, _1=100),
        says="Recording results takes 975ms", after="20m",
    ),
}  # fmt: skip


def promtool(*arguments: str | Path) -> str:
    """What it says; an AssertionError where it finds a fault."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_accepts_the_configuration_and_every_rule() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")

    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", PROMETHEUS / "alerts.yml")


def test_every_alert_is_tried() -> None:
    assert CASES.keys() == RULES.keys()


def test_each_alert_fires_in_its_case_only(tmp_path: Path) -> None:
    """All of them in one run, of which promtool names those that are wrong."""
    tests = [
        {
            "name": alert,
            "interval": "15s",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [{"eval_time": case.after, "alertname": alert, "exp_alerts": expected}],
        }
        for alert, case in CASES.items()
        for series, expected in ((case.bad, [fired(case, RULES[alert])]), (case.good, []))
    ]
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(PROMETHEUS / "alerts.yml")], "tests": tests}))

    promtool("test", "rules", file)


def fired(case: Case, rule: Any) -> dict[str, Any]:
    """What promtool is to find."""
    return {
        "exp_labels": {"severity": rule["labels"]["severity"], **case.labels},
        "exp_annotations": {"summary": case.says, "runbook": rule["annotations"]["runbook"]},
    }
