"""A yardstick: the dispatcher everyone writes first. One Celery task is one delivery: sign, `requests.post`, store.

Run by `bench.yardsticks` with `celery -A bench.one_task_per_delivery worker`; the same Valkey, Postgres and receiver.
It is spared all that costs time beside that: no fan-out, no claim, no retry, and its tasks are published beforehand.
"""

import base64
import hashlib
import hmac
import os
import threading
import time
import uuid

import psycopg2
import requests
from celery import Celery

QUEUE = "one_task_per_delivery"
TABLE = "one_task_attempts"

app = Celery("one_task_per_delivery", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
)
_container = threading.local()


@app.task(name="one_task_per_delivery.deliver")
def deliver(delivery_id: int, url: str, body: str, secret: str) -> None:
    """Posts `body` to `url`, signed, and stores what came back."""
    key = str(uuid.uuid4())
    timestamp = str(int(time.time()))
    signed = f"{key}.{timestamp}.{body}".encode()
    signature = base64.b64encode(hmac.digest(base64.b64decode(secret), signed, hashlib.sha256)).decode()
    response = requests.post(
        url,
        data=body.encode(),
        headers={
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "webhook-id": key,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{signature}",
        },
        timeout=30,
    )
    connection = _connection()
    with connection, connection.cursor() as cursor:
        cursor.execute(
            f"insert into {TABLE} (delivery_id, url, status, body) values (%s, %s, %s, %s)",
            (delivery_id, url, str(response.status_code), response.text[:65_536]),
        )


def _connection() -> "psycopg2.extensions.connection":
    if not hasattr(_container, "connection"):
        _container.connection = psycopg2.connect(os.environ["DATABASE_URL"])
    connection: psycopg2.extensions.connection = _container.connection
    return connection
