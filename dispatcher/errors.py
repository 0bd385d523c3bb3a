"""The exceptions of the dispatcher. Expected outcomes (an endpoint that responds with 500) are return values instead.

DispatcherError
├── InvalidSetting           an environment variable is missing or invalid
├── InvalidAttribute
│   ├── InvalidEventAttribute    an event's `created_at` or idempotency key (for a body: InvalidEvent of schemas)
│   └── InvalidClientAttribute   a client's
├── InvalidFile              what `dispatcher apply` reads is invalid
├── InvalidFields            the front doors answer 422
│   ├── InvalidAccount       an account's attributes are invalid
│   ├── InvalidWebhook       a webhook's attributes are invalid
│   ├── InvalidReplay        a replay's parameters are invalid
│   ├── InvalidErasure       whose payloads are to be erased is not said
│   ├── InvalidAlertChannel  an alert channel's attributes are invalid
│   ├── InvalidEventType     an event type's attributes are invalid, or would break receivers
│   └── InvalidPortalSession     a link's attributes are invalid
├── RecordNotFound           the front doors answer 404
│   ├── AccountNotFound      no account with that slug
│   ├── WebhookNotFound      no webhook with that id in the account
│   ├── ClientNotFound       no live client with that id
│   ├── ServiceTokenNotFound no live service token with that id
│   ├── EventNotFound        no event with that id in the account
│   ├── EventTypeNotFound    no event type with that name
│   ├── UserNotFound         no user with that e-mail in the account, or among the operators
│   ├── DeliveryNotFound     no delivery with that id or key
│   ├── ReplayNotFound       no replay with that id
│   ├── ErasureNotFound      no erasure with that id in the account
│   ├── AlertChannelNotFound no alert channel with that id in the account, or among the operators'
│   ├── OutboxNotFound       no outbox with that name
│   └── PortalSessionNotFound    no live link or session of the portal with that id in the account
├── AccountExists            the slug is taken, or is another account's external id
├── UserExists               the e-mail is taken in that account, or among the operators
├── EventTypeConflict        the event type is a catalogue's, or webhooks subscribe to it
├── OutboxInUse              an outbox that a worker drains cannot be forgotten
├── IllegalTransition        a delivery cannot go from one state to the other
│   └── RetryRefused         a delivery cannot be attempted now
├── RemoteApiError           a remote dispatcher's API rejected a command's request or did not respond
├── TooManyPings             this process has as many pings in flight as it may
├── TooManyTestAlerts        an alert channel was tested within the last minute
├── DependencyUnavailable    the front doors answer 503
│   ├── StorageUnavailable   Postgres cannot be reached, or the connection was lost
│   │   └── StorageLockTimeout   a lock was not free in time
│   ├── ScheduleUnavailable  Redis cannot be reached, or does not respond in time
│   ├── QueueUnavailable     the broker did not accept a nudge
│   └── OutboxUnavailable    the database of an outbox cannot be reached, or has none
├── PendingMigrations        migrations have not been applied
├── UnknownRevision          the database's revision is none of the dispatcher's
├── MissingSchema            the database has no schema for the tables, and this role may not create it
├── UnsafeRedisConfig        Redis is configured to evict keys
├── SecretDecryptionFailed   no key in SECRET_KEYS decrypts a stored secret
├── PublicUrlMissing         a claim check needs DISPATCHER_PUBLIC_URL
├── ServiceStartFailed       an embedded server or a supervised process did not start
└── ApiError                 an API request failed: the status, code and text of its response
"""

from collections.abc import Mapping, Sequence


class DispatcherError(Exception):
    """The dispatcher failed."""

    def __str__(self) -> str:
        """The arguments, or the first line of the class's docstring where there are none."""
        return super().__str__() or (type(self).__doc__ or "").strip().splitlines()[0]


class InvalidSetting(DispatcherError):
    """A setting is missing or invalid."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable = variable


class InvalidAttribute(DispatcherError):
    """An attribute is invalid."""

    def __init__(self, attribute: str, reason: str) -> None:
        super().__init__(f"{attribute}: {reason}")
        self.attribute = attribute
        self.reason = reason


class InvalidEventAttribute(InvalidAttribute):
    """An attribute of the event is invalid."""


class InvalidClientAttribute(InvalidAttribute):
    """An attribute of the client is invalid."""


class InvalidFields(DispatcherError):
    """What a request asks for is invalid. `messages` is API v3's body A: field → texts."""

    def __init__(self, messages: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{field} {', '.join(texts)}" for field, texts in messages.items()))
        self.messages = messages

    @property
    def texts(self) -> list[str]:
        """Those of all fields, without their names."""
        return [text for texts in self.messages.values() for text in texts]


class InvalidFile(DispatcherError):
    """A file of accounts and webhooks is invalid. `path`: where."""

    def __init__(self, path: tuple[str | int, ...], reason: str) -> None:
        super().__init__(f"{'.'.join(map(str, path))} {reason}")
        self.path = path


class InvalidWebhook(InvalidFields):
    """The webhook's attributes are invalid."""


class InvalidAccount(InvalidFields):
    """The account's attributes are invalid."""


class InvalidReplay(InvalidFields):
    """The replay's parameters are invalid."""


class InvalidErasure(InvalidFields):
    """Whose payloads are to be erased is not said."""


class InvalidAlertChannel(InvalidFields):
    """The alert channel's attributes are invalid."""


class InvalidEventType(InvalidFields):
    """The event type's attributes are invalid."""


class InvalidPortalSession(InvalidFields):
    """The attributes of a link to the portal are invalid."""


class RecordNotFound(DispatcherError):
    """The record does not exist, or belongs to another account."""

    noun = "record"
    remedy = ""

    def __init__(self, id_: str | int) -> None:
        super().__init__(f"{self.noun} {id_!r} does not exist{self.remedy.format(id_)}")


class AccountNotFound(RecordNotFound):
    """The account does not exist."""

    noun, remedy = "account", "; create it with: dispatcher account create {}"


class PortalSessionNotFound(RecordNotFound):
    """The link or session of the portal does not exist, or has ended."""

    noun = "portal session"


class AccountExists(DispatcherError):
    """An account with this slug already exists."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"An account with slug {slug!r} already exists")


class WebhookNotFound(RecordNotFound):
    """The webhook does not exist in the account."""

    noun = "webhook"


class ClientNotFound(RecordNotFound):
    """The client does not exist, or was revoked."""

    noun, remedy = "client", ", or was revoked"


class ServiceTokenNotFound(RecordNotFound):
    """The service token does not exist, has expired, or was rotated or revoked."""

    noun, remedy = "service token", ", has expired, or was rotated or revoked"


class UserNotFound(RecordNotFound):
    """No user has this e-mail in the account, or among the operators (`slug` None)."""

    def __init__(self, slug: str | None, email: str) -> None:
        who = "No operator" if slug is None else f"No user of account {slug!r}"
        DispatcherError.__init__(self, f"{who} has the e-mail {email!r}")


class UserExists(DispatcherError):
    """A user with this e-mail already exists."""

    def __init__(self, email: str) -> None:
        super().__init__(f"A user with e-mail {email!r} already exists")


class EventNotFound(RecordNotFound):
    """The event does not exist in the account."""

    noun = "event"


class EventTypeNotFound(RecordNotFound):
    """The event type does not exist."""

    noun = "event type"


class EventTypeConflict(DispatcherError):
    """The event type cannot be changed: it is a catalogue's, or webhooks subscribe to it."""


class DeliveryNotFound(RecordNotFound):
    """The delivery does not exist."""

    noun = "delivery"


class AlertChannelNotFound(RecordNotFound):
    """The alert channel does not exist in the account, or among the operators'."""

    noun = "alert channel"


class ReplayNotFound(RecordNotFound):
    """The replay does not exist."""

    noun = "replay"


class ErasureNotFound(RecordNotFound):
    """The erasure does not exist."""

    noun = "erasure"


class OutboxNotFound(RecordNotFound):
    """The outbox does not exist."""

    noun, remedy = "outbox", ", or is not in DISPATCHER_OUTBOXES"


class OutboxInUse(DispatcherError):
    """A worker drains the outbox."""

    def __init__(self, name: str) -> None:
        super().__init__(f"a worker drains outbox {name!r}; remove it from DISPATCHER_OUTBOXES and restart the workers")


class IllegalTransition(DispatcherError):
    """The delivery's state, or another `reason`, does not allow this transition."""

    def __init__(self, delivery: str, state: str, target: str, reason: str | None = None) -> None:
        self.detail = f"is {state} and cannot become {target}" + (f": {reason}" if reason else "")
        super().__init__(f"delivery {delivery} {self.detail}")


class RetryRefused(IllegalTransition):
    """The delivery cannot be attempted now, for that `reason`."""

    def __init__(self, delivery: str, state: str, reason: str) -> None:
        self.detail = f"is {state} and cannot be attempted now: {reason}"
        DispatcherError.__init__(self, f"delivery {delivery} {self.detail}")


class RemoteApiError(DispatcherError):
    """The remote dispatcher's API rejected the request or did not respond."""


class TooManyPings(DispatcherError):
    """Too many pings are in flight; try again later."""


class TooManyTestAlerts(DispatcherError):
    """This channel was tested within the last minute; try again later."""


class DependencyUnavailable(DispatcherError):
    """Postgres, Redis or the broker is unavailable."""


class StorageUnavailable(DependencyUnavailable):
    """Postgres is unavailable; nothing was stored."""


class StorageLockTimeout(StorageUnavailable):
    """A lock was not available in time; nothing was stored."""


class PendingMigrations(DispatcherError):
    """The database has pending migrations; run: dispatcher migrate."""


class UnknownRevision(DispatcherError):
    """The database is at a revision that is none of the dispatcher's."""

    def __init__(self, table: str, revision: str | None) -> None:
        super().__init__(f"{table} is at revision {revision!r}, which is none of the dispatcher's")


class MissingSchema(DispatcherError):
    """The schema does not exist, and this role may not create it."""

    def __init__(self, schema: str) -> None:
        super().__init__(
            f"this role may not create the schema {schema}; run as an administrator:"
            f" create schema {schema} authorization <this role>"
        )


class ScheduleUnavailable(DependencyUnavailable):
    """Redis is unavailable or did not respond in time."""


class UnsafeRedisConfig(DispatcherError):
    """Redis may evict keys; set its maxmemory-policy to noeviction."""


class QueueUnavailable(DependencyUnavailable):
    """The broker did not accept a nudge."""


class OutboxUnavailable(DependencyUnavailable):
    """The database of an outbox is unavailable."""


class SecretDecryptionFailed(DispatcherError):
    """No key in SECRET_KEYS decrypts a stored secret; add the key it was encrypted with back to SECRET_KEYS."""


class PublicUrlMissing(DispatcherError):
    """DISPATCHER_PUBLIC_URL is not set, and claim checks need it."""


class ServiceStartFailed(DispatcherError):
    """A server or process failed to start."""


class ApiError(DispatcherError):
    """The request failed: the status and headers of the response, and API v3's body B, a `code` and a description."""

    def __init__(self, status: int, code: str, description: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
