"""Requests of each client in the running minute, counted in Redis.

dispatcher:quota:<quota>:<client's row id>   string   how many there were; expires with the minute that the first began
"""

from collections.abc import Sequence
from importlib.resources import files

from dispatcher.schedule.schedule import connect, translated

WINDOW_S = 60


class Quota:
    """The counts. Raises ScheduleUnavailable where Redis does not answer within `timeout_s`."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._redis = connect(url, timeout_s)
        self._count = self._redis.register_script((files("dispatcher.schedule.scripts") / "quota.lua").read_text())

    def count(self, requests: Sequence[tuple[int, str]]) -> list[tuple[int, float]]:
        """Counts requests, each of a client in one of its quotas, of one client several too, in order.

        Of each request: how many there were in this window with it, and the seconds until the window ends.
        """
        keys = [f"dispatcher:quota:{quota}:{client_id}" for client_id, quota in requests]
        with translated():
            counted = self._count(keys=keys, args=[WINDOW_S * 1000])
        return [(int(count), int(left_ms) / 1000) for count, left_ms in zip(counted[::2], counted[1::2], strict=True)]

    def close(self) -> None:
        """Closes the connections."""
        self._redis.close()
