"""The names of tasks and queues, and what a message may hold."""

from collections.abc import Sequence

FAN_OUT = "tasks.fan_out"
DELIVER = "tasks.deliver"
ALERT = "tasks.alert"
QUEUES = (EVENTS, DELIVERIES, DELIVERIES_SLOW) = ("events", "deliveries", "deliveries.slow")
CHUNK_MAX = 1_000
"""Webhooks in one `tasks.deliver`."""


def acceptable(webhook_ids: Sequence[object]) -> list[int]:
    """The webhook ids of a message that are valid, and no more than one message holds."""
    return [id_ for id_ in webhook_ids if type(id_) is int and 0 < id_ < 2**31][:CHUNK_MAX]
