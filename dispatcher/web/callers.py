"""Who makes a request, found out on the event loop before its body is read. Requests that come together share the look.

What is found out stands in the request's environment, so that nobody looks it up, or counts it, again.
"""

import re
from collections.abc import Mapping
from typing import Any

from dispatcher.access.authenticate import Admitted, Asked
from dispatcher.access.rate_limit import DEFAULT, EMITS
from dispatcher.api.auth import PREFIX, QUICK, Quick, bearer, needs_token
from dispatcher.container import Container
from dispatcher.errors import StorageUnavailable
from dispatcher.web.batcher import Batcher

CALLERS_MOST = 100
"""In one query."""

EMIT_PATH = re.compile(rf"{PREFIX}/accounts/([A-Za-z0-9_-]+)/events\.json")


class Callers:
    """For one event loop."""

    def __init__(self, container: Container) -> None:
        self._batcher: Batcher[Asked, Admitted | None] = Batcher(
            "admit", container.admit, most=CALLERS_MOST, for_all=StorageUnavailable
        )

    async def admit(self, environ: dict[str, Any]) -> Admitted | None:
        """Whose token a request to the API brings, None where no body of theirs is to be read; see QUICK for why."""
        token = bearer(environ.get("HTTP_AUTHORIZATION", "")) if needs_token(environ["PATH_INFO"]) else None
        if token is None:
            return None
        try:
            admitted = await self._batcher.do(Asked(token, EMITS if _is_emit(environ) else DEFAULT))
        except Exception as error:  # whatever it is: the application knows what to answer
            environ[QUICK] = Quick(error)
            return None
        environ[QUICK] = Quick(admitted)
        return admitted if admitted is not None and not admitted.allowance.exceeded else None


def _is_emit(environ: Mapping[str, Any]) -> bool:
    return environ["REQUEST_METHOD"] == "POST" and EMIT_PATH.fullmatch(environ["PATH_INFO"]) is not None
