"""Celery's settings for every process that touches the broker."""

from typing import Any
from urllib.parse import quote

from celery import Celery
from kombu.entity import Exchange
from kombu.entity import Queue as KombuQueue

from dispatcher.broker.names import ALERT, DELIVER, DELIVERIES, DELIVERIES_SLOW, EVENTS, FAN_OUT, QUEUES
from dispatcher.redis_url import sentinels_of

# Without a socket timeout a half-open connection hangs a worker for good. Emulated acks make a worker exit when Redis
# drops and cost seven more commands a task; a nudge may be lost, so they buy nothing. One priority, or each queue would
# be four keys.
REDIS_OPTIONS: dict[str, Any] = {
    "ack_emulation": False,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "priority_steps": [0],
}
RETRY: dict[str, Any] = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}
"""Of a connection: by default a broker that is down takes 2 to 6 s to be found so."""


def configure(app: Celery, broker_url: str) -> None:
    """The settings that every process needs which touches the broker: workers, Flower and emitters."""
    redis = broker_url.startswith(("redis", "sentinel"))
    queue_arguments = None if redis else {"x-queue-type": "quorum"}
    urls, options = _sentinel_options(broker_url) or (broker_url, REDIS_OPTIONS if redis else {"confirm_publish": True})
    app.conf.update(
        broker_url=urls,
        broker_transport_options=options,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=10,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        task_publish_retry=True,
        task_publish_retry_policy=RETRY,
        task_send_sent_event=False,
        task_create_missing_queues=False,
        task_default_queue=EVENTS,
        # An exchange of its own for each: on a shared one RabbitMQ would put every message into all three.
        task_queues=[KombuQueue(name, Exchange(name), name, queue_arguments=queue_arguments) for name in QUEUES],
        task_routes={FAN_OUT: {"queue": EVENTS}, DELIVER: {"queue": DELIVERIES}, ALERT: {"queue": DELIVERIES_SLOW}},
    )


def _sentinel_options(broker_url: str) -> tuple[str, dict[str, Any]] | None:
    """A `sentinel://` URL as kombu wants it: a whole URL for each sentinel, and what they are asked as options."""
    sentinels = sentinels_of(broker_url)
    if sentinels is None:
        return None
    login = ":".join(quote(word or "", safe="") for word in (sentinels.username, sentinels.password))
    urls = [
        f"sentinel://{login}@{f'[{host}]' if ':' in host else host}:{port}/{sentinels.database}"
        for host, port in sentinels.addresses
    ]
    sentinel_kwargs = {name: REDIS_OPTIONS[name] for name in ("socket_timeout", "socket_connect_timeout")}
    sentinel_kwargs["password"] = sentinels.sentinel_password
    return ";".join(urls), REDIS_OPTIONS | {"master_name": sentinels.master, "sentinel_kwargs": sentinel_kwargs}
