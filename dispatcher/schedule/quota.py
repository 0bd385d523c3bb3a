"""Requests of each client and service token in the running minute, counted in Redis.

dispatcher:quota:<quota>:<whose>   string   how many there were; expires with the minute that the first began

Whose: a client's row id, or a service token's as a negative number; of `account_emits` an account's,
of `payloads` a delivery's, of `key_sets` a digest of an address.
"""

from collections.abc import Mapping
from importlib.resources import files

from dispatcher.schedule.connection import connect, translated

WINDOW_S = 60


class Quota:
    """The counts. Raises ScheduleUnavailable where Redis does not answer within `timeout_s`."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._redis = connect(url, timeout_s)
        self._add = self._redis.register_script((files("dispatcher.schedule.scripts") / "quota.lua").read_text())

    def add(self, counts: Mapping[tuple[int, str], int]) -> dict[tuple[int, str], tuple[int, float]]:
        """Adds requests of clients in their quotas.

        Of each: how many there are in this window with them, and the seconds until the window ends.
        """
        keys = [f"dispatcher:quota:{quota}:{owner_id}" for owner_id, quota in counts]
        with translated():
            sums = self._add(keys=keys, args=[WINDOW_S * 1000, *counts.values()]) if counts else []
        return {
            key: (int(count), int(left_ms) / 1000)
            for key, count, left_ms in zip(counts, sums[::2], sums[1::2], strict=True)
        }

    def close(self) -> None:
        """Closes the connections."""
        self._redis.close()
