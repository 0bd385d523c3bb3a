"""Somebody signs in, to the console or to agree for a client: how often that may be attempted, and who they are.

Attempts are counted before a password is checked, and by what was typed, not by whom it names, so nobody learns who
exists.
"""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatcher import clock, log
from dispatcher.errors import ScheduleUnavailable
from dispatcher.storage.admin import sessions
from dispatcher.storage.admin.passwords import Passwords
from dispatcher.storage.admin.sessions import Candidate, Person
from dispatcher.storage.engine import Storage

logger = logging.getLogger(__name__)

WINDOW_S = 60.0
PER_NAME_AND_ADDRESS, PER_ADDRESS, PER_NAME = 5, 30, 50
"""Wrong passwords in a window after which further ones are refused unchecked.

An owner's name alone is locked only by ten addresses together: five wrong passwords elsewhere are no matter of theirs.
"""
LIMIT_S = 0.1
"""How long an attempt waits for Redis."""
SKIP_S = 5.0
"""How long Redis is not asked after a failure."""
LOCAL_MOST = 10_000
"""Counts that a process keeps while Redis is away."""

Limits = Sequence[tuple[str, int]]
"""Names of counts, with the most attempts that each may have."""


class SignInCounter(Protocol):
    """Where attempts are counted (`schedule`)."""

    def count(self, limits: Limits) -> tuple[int, float] | None: ...  # noqa: D102
    def forgive(self, names: Sequence[str]) -> None: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Who signed in; or None, and for how many seconds nothing will be checked (0: name or password is wrong)."""

    candidate: Candidate | None = None
    wait_s: int = 0
    whole_address: bool = False
    """Whether that is so for every name that comes from this address."""

    @property
    def person(self) -> Person | None:
        """Who signed in."""
        return self.candidate.person if self.candidate is not None else None


class SignIn:
    """Checks names and passwords. Used by many threads at once."""

    def __init__(self, storage: Storage, counter: SignInCounter, passwords: Passwords) -> None:
        self._storage = storage
        self._counter = counter
        self._passwords = passwords

    def __call__(self, name: str, password: str, *, address: str, slug: str = "", owner: bool = False) -> Outcome:
        """Whoever `name` (an e-mail, or an account's slug for its owner) and `password` fit; with `owner` owners only.

        `slug` names the account where an e-mail is in several. Every attempt that is checked costs one query and one
        hash, whether there is such a person or not.
        """
        by_name = f"name {name.lower()}"
        by_address = f"address {address}"
        limits = [(by_address, PER_ADDRESS), (f"{by_address} {by_name}", PER_NAME_AND_ADDRESS), (by_name, PER_NAME)]
        refused = self._counter.count(limits)
        if refused is not None:
            place, wait_s = refused
            return Outcome(wait_s=max(1, math.ceil(wait_s)), whole_address=place == 0)
        candidate = self._storage.read(sessions.candidate, name, slug, owner=owner)
        password_hash = candidate.password_hash if candidate is not None else None
        if not self._passwords.fits(password, password_hash) or candidate is None:
            return Outcome()
        self._counter.forgive([limits[1][0], by_address, by_name])
        return Outcome(candidate=candidate)

    def wait_s(self, address: str) -> int:
        """Counts an attempt that an identity provider checks; for how many seconds it is refused, 0: it is not."""
        refused = self._counter.count([(f"address {address}", PER_ADDRESS)])
        return max(1, math.ceil(refused[1])) if refused is not None else 0

    def forgive(self, address: str) -> None:
        """That attempt was right."""
        self._counter.forgive(["", f"address {address}"])  # the first would be forgotten with what others failed


class FallbackSignInCounter:
    """Counts in Redis, for all processes; while it is away, in this process alone.

    To let everybody try without limit then, would make a fault of Redis a way in; to let nobody would keep operators
    out when they are needed.
    """

    def __init__(self, shared: SignInCounter, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._shared = shared
        self._local = LocalSignInCounter(WINDOW_S, monotonic)
        self._monotonic = monotonic
        self._skip_until = 0.0

    def count(self, limits: Limits) -> tuple[int, float] | None:
        """As `SignInCounter`; never raises."""
        if self._monotonic() >= self._skip_until:
            try:
                return self._shared.count(limits)
            except ScheduleUnavailable as error:
                self._away(error)
        return self._local.count(limits)

    def forgive(self, names: Sequence[str]) -> None:
        """As `SignInCounter`; never raises."""
        self._local.forgive(names)
        if self._monotonic() >= self._skip_until:
            try:
                self._shared.forgive(names)
            except ScheduleUnavailable as error:
                self._away(error)

    def _away(self, error: ScheduleUnavailable) -> None:
        self._skip_until = self._monotonic() + SKIP_S
        logger.warning(log.line("sign_ins.counted_locally", reason=repr(str(error)), for_s=SKIP_S))


class LocalSignInCounter:
    """Counts in this process; the oldest of too many are forgotten."""

    def __init__(self, window_s: float, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._window_s = window_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}
        """Name → attempts, and when the window ends; in the order of these ends."""

    def count(self, limits: Limits) -> tuple[int, float] | None:
        """As `SignInCounter`."""
        with self._lock:
            now_s = self._monotonic()
            for place, (name, most) in enumerate(limits):
                count, until_s = self._counts.get(name, (0, 0.0))
                if until_s <= now_s:
                    self._counts.pop(name, None)
                    count, until_s = 0, now_s + self._window_s
                self._counts[name] = count + 1, until_s
                if count >= most:
                    return place, until_s - now_s
            while len(self._counts) > LOCAL_MOST:
                del self._counts[next(iter(self._counts))]
        return None

    def forgive(self, names: Sequence[str]) -> None:
        """As `SignInCounter`."""
        with self._lock:
            self._counts.pop(names[0], None)
            for name in names[1:]:
                if name in self._counts:
                    count, until_s = self._counts[name]
                    self._counts[name] = count - 1, until_s
