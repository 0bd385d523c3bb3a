"""The two clients: a company's, for all accounts, and that of one account."""

import requests
from requests.auth import AuthBase

from . import account, service
from .transport import Transport
from .version import VERSION

AGENT = f"webhook-dispatcher-sdk/{VERSION} (Python)"
TIMEOUT_S = 60.0
"""More than the receiver of a ping may take."""


class ServiceClient(service.Operations):
    """Acts for all accounts, with a service token. `api`: `https://hooks.example.com/api/v1`.

    A call is retried up to `retries` times after 429, 503 or no response, where that does no harm. A client keeps its
    connections, and is for one thread at a time.
    """

    def __init__(
        self, api: str, token: str, *, user_agent: str = AGENT, timeout_s: float = TIMEOUT_S, retries: int = 2
    ) -> None:
        transport = Transport(api, user_agent=user_agent, timeout_s=timeout_s, retries=retries)
        transport.authorizer = BearerToken(token)
        super().__init__(transport)


class AccountClient(account.Operations):
    """Acts for one account, with the id and the secret of its client. `api`: `https://hooks.example.com/api/v3`.

    The rest is as ServiceClient has it. The token is got with the first call, and again when it has expired.
    """

    def __init__(
        self,
        api: str,
        client_id: str,
        client_secret: str,
        *,
        user_agent: str = AGENT,
        timeout_s: float = TIMEOUT_S,
        retries: int = 2,
    ) -> None:
        transport = Transport(api, user_agent=user_agent, timeout_s=timeout_s, retries=retries)
        transport.authorizer = _ClientCredentials(transport, client_id, client_secret)
        super().__init__(transport)


class BearerToken(AuthBase):
    """A token that lasts: a service's or a poll token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The same request, with the token."""
        return _signed_in(request, self._token)

    def renew(self) -> bool:
        """There is no other."""
        return False


class _ClientCredentials(AuthBase):
    def __init__(self, transport: Transport, client_id: str, client_secret: str) -> None:
        self._transport, self._client = transport, (client_id, client_secret)
        self._token: str | None = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is None:
            grant = {"grant_type": "client_credentials"}
            response = self._transport.post("/oauth/token", auth=self._client, json=grant)
            self._token = str(self._transport.json(response)["access_token"])
        return _signed_in(request, self._token)

    def renew(self) -> bool:
        """Whether there was a token, which may have expired."""
        self._token = None
        return True


def _signed_in(request: requests.PreparedRequest, token: str) -> requests.PreparedRequest:
    request.headers["Authorization"] = f"Bearer {token}"
    return request
