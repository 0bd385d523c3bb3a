"""The workers that live, by their names.

dispatcher:workers       sorted set   worker name → when it was last seen, ms of Redis' own time
dispatcher:worker:<name> string       number of its process; expires
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from dispatcher.schedule.connection import now_ms, translated

WORKERS, _WORKER = "dispatcher:workers", "dispatcher:worker:"
SEEN_MS = 30_000
"""A worker that was seen within this lives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerAtWork:
    """A worker: how long ago it was seen, and how many webhooks its drains hold (None: not known, by an older one)."""

    name: str
    silent_s: float
    webhooks: int | None


class Workers:
    """Every method raises ScheduleUnavailable where Redis does not answer. `holders`: the key of `schedule`'s hash."""

    def __init__(self, client: Any, owner: int, holders: str) -> None:
        self._redis = client
        self._owner = owner
        self._holders = holders

    def seen(self, name: str) -> None:
        """Notes that the worker lives; one that is silent for SEEN_MS is forgotten."""
        with translated():
            now = now_ms(self._redis)
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.zadd(WORKERS, {name: now})
            pipeline.set(f"{_WORKER}{name}", self._owner, px=SEEN_MS)
            pipeline.zremrangebyscore(WORKERS, "-inf", now - SEEN_MS)
            pipeline.execute()

    def names(self) -> list[str]:
        """Names of the workers seen lately."""
        with translated():
            return list(self._redis.zrangebyscore(WORKERS, now_ms(self._redis) - SEEN_MS, "+inf"))

    def at_work(self) -> list[WorkerAtWork]:
        """The workers seen lately, by name. It reads as much as is held, whatever is due."""
        with translated():
            now = now_ms(self._redis)
            seen = dict(self._redis.zrangebyscore(WORKERS, now - SEEN_MS, "+inf", withscores=True))
            if not seen:
                return []
            names = sorted(seen)
            owners, tokens = (
                self._redis.pipeline(transaction=False)
                .mget([f"{_WORKER}{name}" for name in names])
                .hvals(self._holders)
                .execute()
            )
        held = Counter(token.partition("/")[0] for token in tokens)
        return [
            WorkerAtWork(
                name=name,
                silent_s=max(0.0, now - seen[name]) / 1000,
                webhooks=None if owner is None else held[owner],
            )
            for name, owner in zip(names, owners, strict=True)
        ]
