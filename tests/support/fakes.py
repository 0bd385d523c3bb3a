"""The few fakes. `MemorySchedule` passes the same suite as the real one (tests/integration/schedule)."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dispatcher.broker.names import QUEUES
from dispatcher.errors import QueueUnavailable, ScheduleUnavailable
from dispatcher.model.attempt import Result
from dispatcher.model.health import Health
from dispatcher.schedule.schedule import Beat, Release
from dispatcher.sender.contract import Request


@dataclass(slots=True)
class FakeClock:
    """A monotonic clock that stands still until it is moved."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass(slots=True)
class FakeQueue:
    """Notes what was sent; `down` makes it refuse."""

    fan_outs: int = 0
    delivers: list[tuple[list[int], bool]] = field(default_factory=list)
    alerts: list[list[int]] = field(default_factory=list)
    down: bool = False

    def fan_out(self) -> None:
        self._refuse_if_down()
        self.fan_outs += 1

    def deliver(self, webhook_ids: Sequence[int], *, slow: bool) -> None:
        self._refuse_if_down()
        self.delivers.append((list(webhook_ids), slow))

    def alert(self, channel_ids: Sequence[int]) -> None:
        self._refuse_if_down()
        self.alerts.append(list(channel_ids))

    def lengths(self, names: Sequence[str] = QUEUES) -> dict[str, int]:
        return dict.fromkeys(names, 0)

    def close(self) -> None:
        """Nothing is open."""

    @property
    def webhook_ids(self) -> list[int]:
        """Every webhook that was sent out, in order."""
        return [webhook for ids, _ in self.delivers for webhook in ids]

    def _refuse_if_down(self) -> None:
        if self.down:
            raise QueueUnavailable


@dataclass(frozen=True, slots=True)
class Reply:
    """What a FakeSender says to a request, `after_s` of its clock."""

    status: str = "200"
    after_s: float = 0.05
    retry_after: str | None = None
    body: bytes = b""


class FakeSender:
    """Keeps the sender's contract on a FakeClock: waiting for results moves the clock to the next one."""

    def __init__(
        self, clock: FakeClock, reply: Callable[[Request], Reply] = lambda _: Reply(), capacity: int = 200
    ) -> None:
        self._clock = clock
        self._reply = reply
        self._flying: deque[tuple[float, Result]] = deque()
        self.capacity = capacity
        self.requests: list[Request] = []
        self.most_in_flight = 0
        self.most_by_url: dict[str, int] = {}
        self._by_url: dict[str, int] = {}
        self._url_of: dict[int, str] = {}

    @property
    def in_flight(self) -> int:
        return len(self._flying)

    def start(self, request: Request) -> None:
        reply = self._reply(request)
        ends_s = self._clock.now_s + reply.after_s
        result = Result(
            tag=request.tag,
            status=reply.status,
            body=reply.body,
            retry_after=reply.retry_after,
            started_s=self._clock.now_s,
            finished_s=ends_s,
        )
        self.requests.append(request)
        self._flying.append((ends_s, result))
        self._url_of[request.tag] = request.url
        self._by_url[request.url] = self._by_url.get(request.url, 0) + 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.most_by_url[request.url] = max(self.most_by_url.get(request.url, 0), self._by_url[request.url])

    def wake(self) -> None: ...

    def results(self, wait_s: float) -> list[Result]:
        if not self._flying:
            return []
        first_s = min(ends_s for ends_s, _ in self._flying)
        if first_s > self._clock.now_s:
            # At least a microsecond: a wait that rounds to nothing would stop the time for good.
            self._clock.now_s = min(first_s, self._clock.now_s + max(wait_s, 1e-6))
        done = [result for ends_s, result in self._flying if ends_s <= self._clock.now_s]
        self._flying = deque(one for one in self._flying if one[0] > self._clock.now_s)
        for result in done:
            self._by_url[self._url_of[result.tag]] -= 1
        return done

    def close(self) -> None:
        self._flying.clear()


class MemorySchedule:
    """`schedule.clock.Schedule` without Redis, on a FakeClock; `down` makes it unreachable."""

    def __init__(self, clock: FakeClock, *, hold_s: float = 15.0, owner: int = 1) -> None:
        self._clock = clock
        self._hold_s = hold_s
        self.owner = owner
        self._numbers = itertools.count(1)
        self._holders: dict[int, str] = {}
        self.owners: dict[int, float] = {}
        self._abandoned: list[tuple[str, int]] = []
        self._due: dict[int, float] = {}
        self._held: dict[int, float] = {}
        self._paused: dict[int, float] = {}
        self._buckets: dict[int, tuple[float, float]] = {}
        self._healths: dict[int, Health] = {}
        self._fan_out_till_s = self._reconciled_s = self._prune_till_s = 0.0
        self.down = False

    def due(self, waits_s: Mapping[int, float]) -> None:
        now_s = self._now()
        for webhook, wait_s in waits_s.items():
            self._earlier(webhook, max(now_s + max(0.0, wait_s), self._paused.get(webhook, 0.0)))

    def hand_out(self, webhook_ids: Sequence[int], held_max: int) -> list[int]:
        self._expire()
        mine = []
        for webhook in webhook_ids:
            if len(self._held) < held_max and webhook not in self._held and webhook not in self._paused:
                self._hold(webhook)
                mine.append(webhook)
            else:
                self._earlier(webhook, self._paused.get(webhook, self._now()))
        return mine

    def take(self, limit: int, held_max: int) -> tuple[list[int], float | None]:
        self._expire()
        now_s = self._now()
        room = min(limit, held_max - len(self._held))
        self._due |= {webhook: till_s for webhook, till_s in self._paused.items() if webhook in self._due}
        ready = [webhook for webhook, due_s in self._in_order() if due_s <= now_s and webhook not in self._held]
        mine = ready[: max(0, room)]
        for webhook in mine:
            self._hold(webhook)
        return mine, max(0.0, min(self._due.values()) - now_s) if self._due else None

    def first_due(self) -> float | None:
        self._now()
        return min(self._due.values()) * 1000 if self._due else None

    def new_token(self) -> str:
        return f"{self.owner}/{next(self._numbers)}"

    def renew(self, webhook_ids: Iterable[int], token: str) -> list[int]:
        self._expire()
        till_s = self._now() + self._hold_s
        foreign = []
        for webhook in webhook_ids:
            if self._holders.get(webhook, token) != token:
                self._earlier(webhook, self._now())
                foreign.append(webhook)
                continue
            was, due_s = self._held.get(webhook), self._due.get(webhook)
            self._held[webhook] = till_s
            self._holders[webhook] = token
            if due_s is None or (was is not None and due_s >= was):
                self._due[webhook] = till_s
        return foreign

    def release(self, released: Sequence[Release], token: str, *, goes_on: bool = True) -> list[int]:
        now_s = self._now()
        go_on = []
        for one in released:
            webhook, wait_s = one.webhook_id, one.wait_s
            if self._holders.get(webhook, token) != token and self._held.get(webhook, 0.0) > now_s:
                if wait_s is not None:
                    self._earlier(webhook, now_s + max(0.0, wait_s))
                continue
            self._holders.pop(webhook, None)
            held, due_s = self._held.get(webhook), self._due.get(webhook)
            marked = due_s is not None and (held is None or due_s < held) and due_s <= now_s
            if one.health is not None:
                self._healths[webhook] = one.health
            if one.pause_s <= 0 and (marked or (wait_s is not None and wait_s <= 0)):
                self._hold(webhook)
                if goes_on:
                    self._holders[webhook] = token
                go_on.append(webhook)
                continue
            self._held.pop(webhook, None)
            if due_s is None or held is None or due_s >= held:
                self._due.pop(webhook, None)
            if wait_s is not None:
                self._earlier(webhook, now_s + wait_s)
            if one.pause_s > 0:
                self._paused[webhook] = now_s + one.pause_s
                if webhook in self._due:
                    self._due[webhook] = max(self._due[webhook], now_s + one.pause_s)
        return go_on

    def spend(self, wanted: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, float]]:
        now_s = self._now()
        granted = {}
        for webhook, (rate, count) in wanted.items():
            left, at_s = self._buckets.get(webhook, (1.0, now_s))
            tokens = min(1 + rate * 0.3, left + (now_s - at_s) * rate) if webhook in self._buckets else left
            got = max(0, min(count, int(tokens)))
            self._buckets[webhook] = (tokens - got, now_s)
            granted[webhook] = (got, tokens - got)
        return granted

    def resume(self, webhook_ids: Sequence[int]) -> None:
        self._now()
        for webhook in webhook_ids:
            self._paused.pop(webhook, None)
            self._healths.pop(webhook, None)

    def pauses(self) -> dict[int, float]:
        self._expire()
        return {webhook: till_s - self._clock.now_s for webhook, till_s in self._paused.items()}

    def claim_fan_out(self) -> bool:
        free = self._now() >= self._fan_out_till_s
        if free:
            self._fan_out_till_s = self._clock.now_s + 2.0
        return free

    def fan_out_begun(self) -> None:
        self._now()
        self._fan_out_till_s = 0.0

    def keep_fan_out(self) -> bool:
        self._fan_out_till_s = self._now() + 2.0
        return True

    def beat(self, *, silence_s: float, reconciled_s: float) -> Beat:
        self.beat_of(self.owner)
        now_s = self._clock.now_s
        began_s = self._reconciled_s
        shall = now_s >= began_s + reconciled_s
        if shall:
            self._reconciled_s = now_s
        silent = tuple(owner for owner, seen_s in self.owners.items() if seen_s <= now_s - silence_s)
        return Beat(reconcile=shall, restarted=shall and not began_s, silent=silent)

    def beat_of(self, owner: int) -> None:
        """Another process says that it lives; not of the real one."""
        self.owners[owner] = self._now()

    def free(self, owners: Sequence[int], *, restarted: bool = False) -> int | None:
        self._now()
        dead = {str(owner) for owner in owners if self.owners.pop(owner, None) is not None}
        if not dead and not restarted:
            return None
        freed = [id_ for id_ in self._held if self._holders.get(id_, "/").partition("/")[0] in {"", *dead}]
        for webhook in freed:
            self._end(webhook)
        return len(freed)

    def abandon(self, webhook_ids: Iterable[int], token: str) -> None:
        self._abandoned.extend((token, webhook) for webhook in webhook_ids)

    def release_abandoned(self) -> None:
        if self._abandoned:
            self._now()
        for token, webhook in self._abandoned:
            if self._holders.get(webhook) == token:
                self._end(webhook)
        self._abandoned = []

    def claim_prune(self, every_s: float) -> bool:
        free = self._now() >= self._prune_till_s
        if free:
            self._prune_till_s = self._clock.now_s + every_s * 0.9
        return free

    def healths(self, webhook_ids: Sequence[int]) -> dict[int, Health]:
        self._now()
        return {webhook: self._healths[webhook] for webhook in webhook_ids if webhook in self._healths}

    def store_healths(self, healths: Mapping[int, Health]) -> None:
        self._now()
        self._healths.update(healths)

    def empty(self) -> None:
        self._now()
        for part in (self._due, self._held, self._holders, self._paused, self.owners):
            part.clear()
        self._fan_out_till_s = self._reconciled_s = 0.0

    def sizes(self) -> dict[str, int]:
        self._now()
        return {"due": len(self._due), "held": len(self._held)}

    def waits(self) -> dict[int, float]:
        """Webhook → seconds until it is due; not of the real one, for looking."""
        return {webhook: due_s - self._clock.now_s for webhook, due_s in self._due.items()}

    def _now(self) -> float:
        if self.down:
            raise ScheduleUnavailable
        return self._clock.now_s

    def _in_order(self) -> list[tuple[int, float]]:
        return sorted(self._due.items(), key=lambda pair: (pair[1], str(pair[0])))

    def _earlier(self, webhook: int, due_s: float) -> None:
        self._due[webhook] = min(due_s, self._due.get(webhook, due_s))

    def _hold(self, webhook: int) -> None:
        self._held[webhook] = self._due[webhook] = self._clock.now_s + self._hold_s

    def _end(self, webhook: int) -> None:
        del self._held[webhook]
        self._holders.pop(webhook, None)
        self._earlier(webhook, self._now())

    def _expire(self) -> None:
        now_s = self._now()
        self._held = {webhook: till_s for webhook, till_s in self._held.items() if till_s > now_s}
        self._holders = {webhook: token for webhook, token in self._holders.items() if webhook in self._held}
        self._paused = {webhook: till_s for webhook, till_s in self._paused.items() if till_s > now_s}
