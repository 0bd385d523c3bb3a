"""Small charts: counts for every minute, and a sparkline as SVG, which needs no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.phrases import counted
from dispatcher.storage.stats.rollups import Bucket

HOURS = 24
_HEIGHT, _BAR, _GAP = 24, 4, 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """An hour of a sparkline, in the units of its viewBox: what failed stands above what was delivered."""

    x: int
    delivered_height: float
    failed_height: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Sparkline:
    """The last 24 hours of a webhook; `text` says the same in words."""

    bars: tuple[Bar, ...]
    delivered: int
    failed: int
    retried: int
    width: int = HOURS * (_BAR + _GAP)
    height: int = _HEIGHT
    bar: int = _BAR

    @property
    def text(self) -> str:
        """For those who do not see it."""
        return f"last 24 hours: {self.delivered} delivered, {self.failed} failed, {counted(self.retried, 'retry')}"


def sparkline(hours: Sequence[Bucket], now: datetime) -> Sparkline:
    """One bar an hour; the highest fills the height."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    highest = max((one.delivered + one.failed + one.retried for one in hours), default=0) or 1
    bars = []
    for one in sorted(hours, key=lambda one: one.at):
        hour = int((one.at - first).total_seconds() // 3600)
        if 0 <= hour < HOURS:
            good, bad = (_height(count, highest) for count in (one.delivered, one.failed + one.retried))
            bars.append(Bar(x=hour * (_BAR + _GAP), delivered_height=good, failed_height=min(bad, _HEIGHT - good)))
    return Sparkline(
        bars=tuple(bars),
        delivered=sum(one.delivered for one in hours),
        failed=sum(one.failed for one in hours),
        retried=sum(one.retried for one in hours),
    )


def all_minutes(minutes: Sequence[Bucket], until: datetime, count: int = 60) -> list[Bucket]:
    """The last `count` minutes, also those in which no delivery finished."""
    last = until.replace(second=0, microsecond=0)
    known = {one.at: one for one in minutes}
    times = [last - timedelta(minutes=back) for back in range(count - 1, -1, -1)]
    return [known.get(at) or Bucket(at=at, delivered=0, failed=0, retried=0) for at in times]


def _height(value: int, highest: int) -> float:
    return 0.0 if value == 0 else max(1.5, round(value / highest * _HEIGHT, 1))
