"""Every exception of ours. What is expected (a receiver that answers 500) is a return value, never one of these.

DispatcherError
├── SettingsInvalid        a variable of the environment is missing or wrong
├── EventRefused           an event's `created_at` or idempotency key is wrong (a wrong body: schemas.EventInvalid)
├── AccountUnknown         no account with that slug
├── AccountExists          the slug is taken
├── WebhookUnknown         no webhook with that id in the account
├── WebhookInvalid         a webhook's attributes are refused
├── ClientUnknown          no live client with that id
├── ClientInvalid          a client's attributes are refused
├── EventUnknown           no event with that id in the account
├── UserUnknown            nobody with that e-mail in the account
├── UserExists             the e-mail is taken in that account, or among the operators
├── DeliveryUnknown        no delivery with that id or key
├── ReplayUnknown          no replay with that id
├── ReplayInvalid          what is to be replayed is refused
├── MoveIllegal            a delivery cannot go from one state to the other
├── ApiRefused             another machine's dispatcher refused what a command asked, or did not answer
├── PingsBusy              this process waits for the answers to as many pings as it may
├── StorageUnavailable     Postgres cannot be reached, or went away in the middle
│   └── StorageLocked      somebody else has locked what is to be changed
├── StorageOutdated        migrations are missing
├── ScheduleUnavailable    Redis cannot be reached, or does not answer in time
├── ScheduleUnsafe         Redis is set up to evict keys
├── QueueUnavailable       the broker did not take a nudge
├── SecretUnreadable       no key of SECRET_KEYS opens what is stored
├── ServiceFailed          an embedded server or a supervised process did not start
└── RequestRefused         a request of the API is answered with an error
"""

from collections.abc import Mapping, Sequence


class DispatcherError(Exception):
    """Something is wrong."""

    def __str__(self) -> str:
        """The arguments, or the first line of the class's docstring where there are none."""
        return super().__str__() or (type(self).__doc__ or "").strip().splitlines()[0]


class SettingsInvalid(DispatcherError):
    """A setting is missing or wrong."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable = variable
        self.reason = reason


class EventRefused(DispatcherError):
    """An event's own attributes are wrong."""

    def __init__(self, attribute: str, reason: str) -> None:
        super().__init__(f"{attribute}: {reason}")
        self.attribute = attribute
        self.reason = reason


class AccountUnknown(DispatcherError):
    """There is no such account."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"account {slug!r} does not exist; create it with: dispatcher account create {slug}")
        self.slug = slug


class AccountExists(DispatcherError):
    """The slug is taken."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"account {slug!r} exists already")
        self.slug = slug


class WebhookUnknown(DispatcherError):
    """There is no such webhook in the account."""

    def __init__(self, webhook_id: int) -> None:
        super().__init__(f"webhook {webhook_id} does not exist")
        self.webhook_id = webhook_id


class WebhookInvalid(DispatcherError):
    """The webhook's attributes are refused. `messages` is API v3's body A: field → texts."""

    def __init__(self, messages: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{field} {', '.join(texts)}" for field, texts in messages.items()))
        self.messages = messages


class ClientUnknown(DispatcherError):
    """There is no such client, or it was revoked."""

    def __init__(self, client_id: str) -> None:
        super().__init__(f"client {client_id!r} does not exist, or was revoked")
        self.client_id = client_id


class ClientInvalid(DispatcherError):
    """A client's own attributes are wrong."""

    def __init__(self, attribute: str, reason: str) -> None:
        super().__init__(f"{attribute}: {reason}")
        self.attribute = attribute
        self.reason = reason


class UserUnknown(DispatcherError):
    """There is nobody with that e-mail in the account, or among the operators (`slug` None)."""

    def __init__(self, slug: str | None, email: str) -> None:
        where = "there is no operator" if slug is None else f"account {slug!r} has nobody"
        super().__init__(f"{where} with the e-mail {email!r}")
        self.slug = slug
        self.email = email


class UserExists(DispatcherError):
    """The e-mail is taken."""

    def __init__(self, email: str) -> None:
        super().__init__(f"{email!r} is there already")
        self.email = email


class EventUnknown(DispatcherError):
    """There is no such event in the account."""

    def __init__(self, event_id: int) -> None:
        super().__init__(f"event {event_id} does not exist")
        self.event_id = event_id


class DeliveryUnknown(DispatcherError):
    """There is no such delivery."""

    def __init__(self, delivery: str) -> None:
        super().__init__(f"delivery {delivery!r} does not exist")
        self.delivery = delivery


class ReplayUnknown(DispatcherError):
    """There is no such replay."""

    def __init__(self, replay_id: int) -> None:
        super().__init__(f"replay {replay_id} does not exist")
        self.replay_id = replay_id


class ReplayInvalid(DispatcherError):
    """What is to be replayed is refused. `messages` is API v3's body A: field → texts."""

    def __init__(self, messages: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{field} {', '.join(texts)}" for field, texts in messages.items()))
        self.messages = messages


class MoveIllegal(DispatcherError):
    """The delivery's state does not allow this, or for another `reason` it cannot be done."""

    def __init__(self, delivery: str, state: str, wanted: str, reason: str | None = None) -> None:
        self.why = f"is {state} and cannot become {wanted}" + (f": {reason}" if reason else "")
        super().__init__(f"delivery {delivery} {self.why}")
        self.state = state
        self.wanted = wanted


class ApiRefused(DispatcherError):
    """The API of another machine's dispatcher refused it, or did not answer."""


class PingsBusy(DispatcherError):
    """Too many pings wait for their answers; try again later."""


class StorageUnavailable(DispatcherError):
    """Postgres cannot be reached; nothing was stored."""


class StorageLocked(StorageUnavailable):
    """A lock was not free in time; nothing was stored."""


class StorageOutdated(DispatcherError):
    """The database lacks migrations; run: dispatcher migrate."""


class ScheduleUnavailable(DispatcherError):
    """Redis cannot be reached or does not answer in time."""


class ScheduleUnsafe(DispatcherError):
    """Redis may evict keys; set its maxmemory-policy to noeviction."""


class QueueUnavailable(DispatcherError):
    """The broker did not take a nudge."""


class SecretUnreadable(DispatcherError):
    """No key of SECRET_KEYS opens a stored secret; put the key it was written with back into SECRET_KEYS."""


class ServiceFailed(DispatcherError):
    """A server or process did not start."""


class RequestRefused(DispatcherError):
    """The request is answered with an error: API v3's body B, of a `code` and a text for people."""

    def __init__(self, status: int, code: str, description: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
