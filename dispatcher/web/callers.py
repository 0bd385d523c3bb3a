"""Who makes a request, found out before its body is read. Requests that come together share the query."""

from dispatcher.access.authenticate import AccessRequest, Admission
from dispatcher.container import Container
from dispatcher.errors import StorageUnavailable
from dispatcher.web.batcher import Batcher

CALLERS_MOST = 100
"""In one query."""


class Callers:
    """For one event loop."""

    def __init__(self, container: Container) -> None:
        self._batcher: Batcher[AccessRequest, Admission | None] = Batcher(
            "admit", container.access.admit, most=CALLERS_MOST, for_all=StorageUnavailable
        )

    async def admit(self, token: str, quota: str) -> Admission | None:
        """Whose token it is, with this request counted in `quota`; None: nobody's. Raises StorageUnavailable."""
        return await self._batcher.do(AccessRequest(token, quota))
