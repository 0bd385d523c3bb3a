"""The schedule in Redis: which webhooks are due, and when. A hint: it can be rebuilt from the rows at any time.

    dispatcher:due           sorted set   webhook id → when it is due, ms of Redis' own time
    dispatcher:held          sorted set   webhook id → until when it is held, ms; expired holds are free
    dispatcher:holders       hash         webhook id → token of the drain that holds it, `<process>/<drain>`; absent
                                          while its message is on the way to one
    dispatcher:owners        sorted set   number of a process whose drains hold webhooks → when it was last seen, ms
    dispatcher:paused        sorted set   webhook id → until when it is paused, ms: its breaker is open, or it
                                          asked for that; expired pauses are over
    dispatcher:fan_out       string       `message` while a `fan_out` message waits; the number of the process in which
                                          a fan-out stays and hears of commits; expires
    dispatcher:reconcile     string       the run of Redis in which the rows were last compared, and when, ms
    dispatcher:prune         string       set while days were created and dropped lately; expires
    dispatcher:alerts        string       set after a check for alerts, and while some are sent; expires
    dispatcher:health:<id>   string       window, failures in a row, latency and probes of a webhook; expires
    dispatcher:bucket:<id>   string       tokens of a webhook with a rate limit, and of when; expires

The first five are changed only by the scripts beside this file. Times go in as spans from now, so that no host's clock
is compared with another's. While a webhook is held its due time is the end of the hold, so a dead drain's webhooks come
back by themselves; an earlier due time means that work came meanwhile. Where the process is known to be dead they come
back at once (`free`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from uuid import uuid4

from redis.exceptions import ResponseError

from dispatcher.errors import UnsafeRedisConfig
from dispatcher.model.health import Health
from dispatcher.schedule.connection import connect, now_ms, translated
from dispatcher.schedule.workers import SEEN_MS, WORKERS, Workers

DUE, HELD, PAUSED, HOLDERS, OWNERS, FAN_OUT, RECONCILE, PRUNE, ALERTS = _KEYS = tuple(
    f"dispatcher:{noun}"
    for noun in ("due", "held", "paused", "holders", "owners", "fan_out", "reconcile", "prune", "alerts")
)
_HEALTH = "dispatcher:health:"
_BUCKET = "dispatcher:bucket:"
_HEALTH_TTL_S = 3_600
_FAN_OUT_TTL_MS = 2_000
_MESSAGE = "message"
_SETS = [DUE, HELD, PAUSED, HOLDERS]
_LARGEST_ID, _LARGEST_OWNER = 2**31 - 1, 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """What a drain knows of a webhook that it releases.

    `wait_s`: seconds until its next delivery is due (None: nothing waits). `pause_s`: seconds for which nothing is to
    be sent to it. `health`: what is to be stored (None: it did not change).
    """

    webhook_id: int
    wait_s: float | None = None
    pause_s: float = 0.0
    health: Health | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """The schedule at a glance: how many webhooks are due, held and paused, the workers, and some webhooks by id."""

    due: int
    held: int
    paused: int
    workers: tuple[str, ...]
    healths: Mapping[int, Health]
    pauses_s: Mapping[int, float]
    """Seconds until a webhook's pause ends; absent where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Beat:
    """What a process hears when it says that it lives: whether it shall reconcile, and the numbers of the silent.

    `restarted`: Redis was, or it was emptied.
    """

    reconcile: bool
    restarted: bool = False
    silent: tuple[int, ...] = ()


class Schedule:
    """The schedule. Every method raises ScheduleUnavailable where Redis does not answer within `timeout_s`."""

    def __init__(self, url: str, *, hold_s: float = 15.0, timeout_s: float = 2.0, owner: int = 1) -> None:
        self._redis = connect(url, timeout_s)
        self._hold_ms = int(hold_s * 1000)
        self.owner = owner
        """This process's number, 1 to 2^62-1, under which its drains hold webhooks."""
        self.workers = Workers(self._redis, owner, HOLDERS)
        self._abandoned: list[tuple[str, int]] = []
        folder = files("dispatcher.schedule.scripts")
        self._scripts = {
            name: self._redis.register_script((folder / f"{name}.lua").read_text())
            for name in ("due", "hand_out", "take", "renew", "release", "spend", "beat", "free", "release_abandoned")
        }

    def due(self, waits_s: Mapping[int, float]) -> None:
        """Makes each webhook due after its seconds from now, if that is earlier than it was."""
        pairs = [text for webhook, wait_s in waits_s.items() for text in (max(0, int(wait_s * 1000)), webhook)]
        for start in range(0, len(pairs), 2000):
            self._run("due", [DUE, PAUSED], pairs[start : start + 2000])

    def hand_out(self, webhook_ids: Sequence[int], held_max: int) -> list[int]:
        """These have work now: holds the free ones and returns them; the rest is due, or its drain is notified."""
        mine: list[int] = []
        for start in range(0, len(webhook_ids), 2000):
            page = webhook_ids[start : start + 2000]
            mine += [int(webhook) for webhook in self._run("hand_out", _SETS, [self._hold_ms, held_max, *page])]
        return mine

    def take(self, limit: int, held_max: int) -> tuple[list[int], float | None]:
        """Up to `limit` due webhooks, now held, and the seconds until the next is due (None: none is)."""
        *mine, wait_ms = self._run("take", _SETS, [self._hold_ms, held_max, limit])
        return [int(webhook) for webhook in mine], None if float(wait_ms) < 0 else float(wait_ms) / 1000

    def first_due(self) -> float | None:
        """The first entry of the schedule, ms of Redis' time: one cheap command that shows whether anything changed."""
        with translated():
            first = self._redis.zrange(DUE, 0, 0, withscores=True)
        return first[0][1] if first else None

    def new_token(self) -> str:
        """What a drain of this process holds its webhooks by."""
        return f"{self.owner}/{uuid4().hex}"

    def renew(self, webhook_ids: Iterable[int], token: str) -> list[int]:
        """The drain of that token holds these, from now on or for longer; returns those that another drain holds."""
        return [int(id_) for id_ in self._run("renew", [DUE, HELD, HOLDERS], [self._hold_ms, token, *webhook_ids])]

    def release(self, released: Sequence[Release], token: str, *, goes_on: bool = True) -> list[int]:
        """Ends that drain's holds, each with what it knows. What another drain holds by now is only made due.

        Returns those that have work now: they stay held, by the drain if it `goes_on` with them, else for the next.
        """
        if not released:
            return []
        arguments: list[int | str] = [self._hold_ms, token, int(goes_on), _HEALTH, _HEALTH_TTL_S]
        for one in released:
            arguments += [
                "" if one.wait_s is None else int(one.wait_s * 1000),
                int(one.pause_s * 1000),
                _written(one.health) if one.health else "",
                one.webhook_id,
            ]
        return [int(webhook) for webhook in self._run("release", _SETS, arguments)]

    def spend(self, requested: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, float]]:
        """Of webhooks with a rate limit, webhook → (requests a second, requests to send now), takes what they may send.

        Returns webhook → (requests granted, tokens left; below one: none more now).
        """
        arguments: list[int | str] = [_BUCKET]
        for webhook, (rate, count) in requested.items():
            arguments += [rate, count, webhook]
        answer = self._run("spend", [], arguments)
        pairs = zip(answer[::2], answer[1::2], strict=True)
        return {webhook: (int(got), float(left)) for webhook, (got, left) in zip(requested, pairs, strict=True)}

    def resume(self, webhook_ids: Sequence[int]) -> None:
        """Ends pauses and forgets healths: somebody changed the webhook, or asks for an attempt now."""
        with translated():
            self._redis.zrem(PAUSED, *webhook_ids)
            self._redis.delete(*(f"{_HEALTH}{webhook}" for webhook in webhook_ids))

    def pauses(self) -> dict[int, float]:
        """The webhooks that are paused, and the seconds until that ends."""
        with translated():
            now = now_ms(self._redis)
            ends_ms = dict(self._redis.zrangebyscore(PAUSED, now, "+inf", withscores=True))
        return {int(webhook): (ends_ms[webhook] - now) / 1000 for webhook in _numbers(ends_ms)}

    def claim_fan_out(self) -> bool:
        """Whether the caller shall send a `fan_out` message: False where one waits, or stays at work."""
        with translated():
            return bool(self._redis.set(FAN_OUT, _MESSAGE, nx=True, px=_FAN_OUT_TTL_MS))

    def fan_out_begun(self) -> None:
        """The waiting message was taken: what is committed from now on needs another."""
        with translated():
            self._redis.delete(FAN_OUT)

    def keep_fan_out(self) -> bool:
        """Says that a fan-out of this process stays, and needs no message; False where another process's does."""
        with translated():
            if not self._redis.set(FAN_OUT, self.owner, nx=True, px=_FAN_OUT_TTL_MS):
                if self._redis.get(FAN_OUT) not in (_MESSAGE, str(self.owner)):
                    return False
                self._redis.set(FAN_OUT, self.owner, px=_FAN_OUT_TTL_MS)
            return True

    def beat(self, *, silence_s: float, reconciled_s: float) -> Beat:
        """Says that this process lives; the caller shall reconcile unless somebody has begun to within `reconciled_s`.

        After Redis was emptied or restarted, one caller shall. `silent` are those that have said nothing for
        `silence_s`.
        """
        arguments = [self.owner, int(silence_s * 1000), int(reconciled_s * 1000)]
        shall, *silent = self._run("beat", [OWNERS, RECONCILE], arguments)
        owners = tuple(int(owner) for owner in _numbers(silent, _LARGEST_OWNER))
        return Beat(reconcile=shall > 0, restarted=shall == 2, silent=owners)

    def free(self, owners: Sequence[int], *, restarted: bool = False) -> int | None:
        """These processes are dead: what their drains held is due now, and what no drain has begun with yet.

        `restarted`: also where none is, since Redis was and lost messages. Returns how many webhooks that were;
        None where somebody else has done it.
        """
        freed = int(self._run("free", [DUE, HELD, HOLDERS, OWNERS], [int(restarted), *owners]))
        return None if freed < 0 else freed

    def abandon(self, webhook_ids: Iterable[int], token: str) -> None:
        """Notes, in this process, holds that a drain could not release, for `release_abandoned`."""
        self._abandoned.extend((token, webhook) for webhook in webhook_ids)

    def release_abandoned(self) -> None:
        """What was abandoned is due now, unless somebody holds it by now; asks nothing where nothing was."""
        pairs = list(self._abandoned)
        if pairs:
            self._run("release_abandoned", [DUE, HELD, HOLDERS], [part for pair in pairs for part in pair])
            self._abandoned = self._abandoned[len(pairs) :]

    def claim_prune(self, every_s: float) -> bool:
        """Whether the caller shall prune: once in `every_s` seconds over all workers."""
        with translated():
            return bool(self._redis.set(PRUNE, "1", nx=True, px=max(1, int(every_s * 900))))

    def claim_alerts(self, for_s: float) -> bool:
        """Whether the caller shall check for alerts: nobody else does for `for_s` seconds, over all workers."""
        with translated():
            return bool(self._redis.set(ALERTS, "1", nx=True, px=int(for_s * 1000)))

    def hold_alerts(self, for_s: float) -> None:
        """Alerts are being sent: nobody checks for more for `for_s` seconds."""
        with translated():
            self._redis.set(ALERTS, "1", px=int(for_s * 1000))

    def healths(self, webhook_ids: Sequence[int]) -> dict[int, Health]:
        """What is known of the receivers' health; absent where nothing is."""
        if not webhook_ids:
            return {}
        with translated():
            texts = self._redis.mget([f"{_HEALTH}{webhook}" for webhook in webhook_ids])
        return _read_all(webhook_ids, texts)

    def store_healths(self, healths: Mapping[int, Health]) -> None:
        """Keeps them for an hour; a drain does it with `release`."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for webhook, health in healths.items():
                pipeline.set(f"{_HEALTH}{webhook}", _written(health), ex=_HEALTH_TTL_S)
            pipeline.execute()

    def sizes(self) -> dict[str, int]:
        """How many webhooks the schedule has (`due`), and how many of them a drain holds (`held`)."""
        with translated():
            return {"due": self._redis.zcard(DUE), "held": self._redis.zcard(HELD)}

    def survey(self, webhook_ids: Sequence[int] = ()) -> Survey:
        """For those who watch: one round trip, whatever there is; `healths` and `pauses_s` are of these webhooks."""
        with translated():
            now = now_ms(self._redis)
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.zcard(DUE).zcount(HELD, now, "+inf").zcount(PAUSED, now, "+inf")
            pipeline.zrangebyscore(WORKERS, now - SEEN_MS, "+inf")
            if webhook_ids:
                pipeline.mget([f"{_HEALTH}{webhook}" for webhook in webhook_ids]).zmscore(PAUSED, list(webhook_ids))
            due, held, paused, workers, *of_webhooks = pipeline.execute()
        texts, until_ms = of_webhooks or ([], [])
        return Survey(
            due=due,
            held=held,
            paused=paused,
            workers=tuple(sorted(workers)),
            healths=_read_all(webhook_ids, texts),
            pauses_s={
                webhook: (until - now) / 1000
                for webhook, until in zip(webhook_ids, until_ms, strict=False)
                if until is not None and until > now
            },
        )

    def overdue(self, limit: int) -> list[int]:
        """The webhooks that nobody took although they are due, the oldest first."""
        with translated():
            due = self._redis.zrangebyscore(DUE, "-inf", now_ms(self._redis), start=0, num=limit)
            return [*map(int, _numbers(due))]

    def check(self) -> None:
        """Raises UnsafeRedisConfig where Redis may throw keys away; passes where it does not let us ask."""
        with translated():
            try:
                policy = self._redis.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction")
            except ResponseError:
                return  # hosted Redis often forbids CONFIG
        if policy != "noeviction":
            raise UnsafeRedisConfig(f"Redis has maxmemory-policy {policy}; set it to noeviction")

    def delete_broker_keys(self, queues: Sequence[str]) -> int:
        """Deletes Celery's messages and bindings, where the broker is this Redis; returns how many keys there were."""
        with translated():
            keys = [
                *queues,
                "unacked",
                "unacked_index",
                "unacked_mutex",
                *self._redis.keys("_kombu.binding.*"),
                FAN_OUT,
            ]
            return int(self._redis.delete(*keys))

    def empty(self) -> None:
        """Forgets what is due, held and paused: `reconcile` rebuilds it, and drains at work hold theirs again."""
        with translated():
            self._redis.delete(*_KEYS, WORKERS)

    def close(self) -> None:
        """Closes the connections."""
        self._redis.close()

    def _run(self, script: str, keys: list[str], arguments: Iterable[object]) -> Any:
        with translated():
            return self._scripts[script](keys=keys, args=list(arguments))


def _written(health: Health) -> str:
    return f"{health.window:.2f} {health.consecutive_failures} {health.latency_s:.3f} {health.probes}"


def _read_all(webhook_ids: Sequence[int], texts: Sequence[str | None]) -> dict[int, Health]:
    """The healths that are known; what somebody else has written there is none."""
    pairs = ((webhook, _read(text)) for webhook, text in zip(webhook_ids, texts, strict=False) if text)
    return {webhook: health for webhook, health in pairs if health is not None}


def _read(text: str) -> Health | None:
    try:
        window, failures, latency_s, probes = text.split()
        health = Health(
            window=float(window), consecutive_failures=int(failures), latency_s=float(latency_s), probes=int(probes)
        )
    except ValueError:
        return None
    return health if math.isfinite(health.window) and math.isfinite(health.latency_s) else None


def _numbers(members: Iterable[str], largest: int = _LARGEST_ID) -> Iterator[str]:
    """Those that are numbers in range; the rest was written by somebody else."""
    return (text for text in members if text.isascii() and text.isdigit() and 0 < int(text[:20]) <= largest)
