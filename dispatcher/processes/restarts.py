"""When an ended process is started again, and when that has happened too often. Pure: times are handed in."""

from dataclasses import dataclass, field

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0  # a process that ran this long is healthy
CRASHES = 3  # this many within STEADY_S are a burst


@dataclass(kw_only=True, slots=True)
class Restarts:
    """One process's record."""

    in_a_row: int = 0
    crashes_at_s: list[float] = field(default_factory=list)
    repaired: bool = False

    def record(self, *, started_s: float, ended_s: float, crashed: bool) -> tuple[float, bool]:
        """The seconds to wait before it is started again, and whether to repair first: once in a burst of crashes.

        The times are seconds of one monotonic clock. A burst is over when the process has run for 60 s.
        """
        if ended_s - started_s >= STEADY_S:
            self.in_a_row, self.repaired = 0, False
            self.crashes_at_s.clear()
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self.in_a_row, 10), LONGEST_PAUSE_S)
        self.in_a_row += 1
        if crashed:
            self.crashes_at_s = [at_s for at_s in self.crashes_at_s if ended_s - at_s < STEADY_S] + [ended_s]
        repair = crashed and not self.repaired and len(self.crashes_at_s) >= CRASHES
        self.repaired = self.repaired or repair
        return pause_s, repair
