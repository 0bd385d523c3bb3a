"""What the sender goes by for one webhook, where its owner wants it otherwise than the settings have it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from dispatcher.model.credentials import ClientCertificate, OAuth2


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Each is an attribute of the webhook; its default is how deliveries are sent without it.

    They stand in one column as JSON, whose arrays are tuples here. A field with `repr=False` is a secret, and encrypted
    there.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with each request, beside those of the dispatcher."""
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The same, of which only the names are shown."""
    only_fields: tuple[str, ...] = ()
    """Paths of the body's attributes that are sent; none: all are."""
    excluded_fields: tuple[str, ...] = ()
    """Paths of those that never are."""
    timeout_s: int | None = None
    """Seconds for one attempt, within the setting; None: as the setting has it."""
    retry_schedule: str | tuple[int, ...] | None = None
    """One of RETRY_SCHEDULES (`schemas.api.options`), or the seconds before each retry; None: as the settings say."""
    success_codes: tuple[str, ...] | None = None
    """Codes such as "409", and classes such as "2xx", that mean that a delivery was received; None: 2xx."""
    payload_limit: int | None = None
    """Bytes of a payload, beyond which a URL is sent in its place (`claim_check`)."""
    event_versions: Mapping[str, int] = field(default_factory=dict)
    """The newest version of an event's body that its receiver knows; the first where none is named."""
    signature_schemes: tuple[str, ...] = ("v1",)
    """How requests are signed (`dispatcher.signatures`); several while a receiver migrates."""
    signature_prefixes: tuple[str, ...] = ("webhook-",)
    """Of the names of Standard Webhooks' three headers, which are sent once with each."""
    signature_header: str | None = None
    """The name of the header of a `stripe` or `github` signature; None: that company's own."""
    oauth2: OAuth2 | None = field(default=None, repr=False)
    """Whose access token is sent."""
    client_certificate: ClientCertificate | None = field(default=None, repr=False)
    """What TLS shows to a receiver that asks for one."""
    destination: Mapping[str, str] | None = None
    """Where a broker, a queue or a bucket is to put messages (`schemas.api.destinations`); None: the URL is HTTP's."""
    credentials: Mapping[str, str] | None = field(default=None, repr=False)
    """For that one, of which only the names are shown; None: of HTTP, or none are needed."""


NO_OPTIONS = Options()
"""Of every webhook for which none is set."""
OPTION_DEFAULTS: Mapping[str, object] = {one.name: getattr(NO_OPTIONS, one.name) for one in fields(Options)}
SECRET_OPTIONS = frozenset(one.name for one in fields(Options) if not one.repr)
