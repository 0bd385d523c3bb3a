"""Connections to Redis, and its errors in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from dispatcher.errors import ScheduleUnavailable
from dispatcher.redis_url import sentinels_of


def connect(url: str, timeout_s: float) -> Any:
    """A client for `redis://`, `rediss://` or `sentinel://host:port;host:port/db?master=name`; connects when used.

    No retries: what fails here is tried again by the next tick, and an emit must not wait.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
        "encoding_errors": "replace",  # bytes that are no text were written by somebody else, and must not stop a tick
        "health_check_interval": 0,
    }
    sentinels = sentinels_of(url)
    if sentinels is None:
        return redis.Redis.from_url(url, **options)
    sentinel = redis.Sentinel(sentinels.addresses, sentinel_kwargs=options | {"password": sentinels.sentinel_password})
    return sentinel.master_for(
        sentinels.master, db=sentinels.database, username=sentinels.username, password=sentinels.password, **options
    )


def now_ms(client: Any) -> float:
    """Redis' time, by which every host's spans are measured."""
    seconds, micros = client.time()
    return float(seconds * 1000 + micros / 1000)


@contextmanager
def translated() -> Iterator[None]:
    """Turns redis's errors into ScheduleUnavailable."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise ScheduleUnavailable(f"Redis does not answer: {type(error).__name__}") from error
