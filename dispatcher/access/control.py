"""Access to one process's API and console: what a front door asks before it lets somebody in."""

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from dispatcher.access import authenticate, rate_limit
from dispatcher.access.authenticate import Admission, Principal
from dispatcher.access.last_use import LastUses
from dispatcher.access.rate_limit import Limiter
from dispatcher.schedule.quota import WINDOW_S, Quota
from dispatcher.schedule.sign_ins import SharedSignInCounter
from dispatcher.settings import Settings
from dispatcher.storage import alerts
from dispatcher.storage.admin import service_tokens
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.engine import Storage

if TYPE_CHECKING:
    from dispatcher.access.sign_in import SignIn
    from dispatcher.storage.admin.passwords import Passwords


class AccessControl:
    """Builds its parts when they are first used, as the container does."""

    def __init__(self, storage: Storage, settings: Settings) -> None:
        self._storage = storage
        self._settings = settings

    @cached_property
    def limiter(self) -> Limiter:
        """Counts the requests of the API's clients and service tokens."""
        emits = dict.fromkeys((rate_limit.EMITS, rate_limit.ACCOUNT_EMITS), self._settings.emit_quota)
        open_to_all = {rate_limit.PAYLOADS: rate_limit.PAYLOAD_QUOTA, rate_limit.KEY_SETS: rate_limit.KEY_SETS_QUOTA}
        quotas = {rate_limit.DEFAULT: self._settings.quota, **open_to_all, **emits}
        quotas[rate_limit.POLLS] = rate_limit.POLL_QUOTA
        return Limiter(self._quota, quotas, WINDOW_S, exceeded=self._note_reached)

    def _note_reached(self, key: rate_limit.Key) -> None:
        """For alerts; what is open to all, or a poll token's, is nobody's quota."""
        if key[1] not in (rate_limit.PAYLOADS, rate_limit.KEY_SETS, rate_limit.POLLS):
            self._quotas_reached.note(key)

    @cached_property
    def sign_in(self) -> "SignIn":
        """Checks names and passwords."""
        from dispatcher.access.sign_in import FallbackSignInCounter, SignIn  # noqa: PLC0415 -- loads password hashing

        return SignIn(self._storage, FallbackSignInCounter(self._sign_ins), self.passwords)

    @cached_property
    def passwords(self) -> "Passwords":
        """Makes and checks their hashes."""
        from dispatcher.storage.admin.passwords import Passwords  # noqa: PLC0415 -- loads argon2

        return Passwords(self._settings.password_memory_kib)

    @property
    def session_idle(self) -> timedelta:
        """How long a session of the console lasts without use."""
        return timedelta(seconds=self._settings.session_idle_s)

    def admit(self, token: str) -> Admission | None:
        """Who calls the API with this access token, and their quota with this call counted; None: nobody."""
        (caller,) = self._storage.read(authenticate.principals, [token])
        return self.count(caller, rate_limit.DEFAULT)

    def count(self, caller: Principal | None, quota: str) -> Admission | None:
        """The same, once it is known who calls."""
        if caller is None:
            return None
        if isinstance(caller, ServiceToken):
            self._last_uses.note(caller.id)
        return authenticate.count(self.limiter, caller, quota)

    def close(self) -> None:
        """Closes what was opened."""
        for part in ("_quota", "_sign_ins"):
            if part in self.__dict__:
                getattr(self, part).close()

    @cached_property
    def _quota(self) -> Quota:
        return Quota(self._settings.redis_url, timeout_s=rate_limit.LIMIT_S)

    @cached_property
    def _quotas_reached(self) -> LastUses[rate_limit.Key]:
        return LastUses(lambda keys: self._storage.autocommit(alerts.reach_quotas, keys))

    @cached_property
    def _last_uses(self) -> LastUses[int]:
        return LastUses(lambda ids: self._storage.autocommit(service_tokens.mark_used, ids))

    @cached_property
    def _sign_ins(self) -> SharedSignInCounter:
        from dispatcher.access.sign_in import LIMIT_S, WINDOW_S  # noqa: PLC0415 -- loaded by processes that use it

        return SharedSignInCounter(self._settings.redis_url, window_s=WINDOW_S, timeout_s=LIMIT_S)
