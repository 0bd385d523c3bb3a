"""Settings: what an operator may choose, each declared once with its type, default, bounds and a sentence.

`setting` declares one that operators choose, `advanced` one whose default is right for nearly everybody. Those that an
emit needs too are in `producer_settings`. A test compares docs/reference/settings.md with all of them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from marshmallow import ValidationError
from marshmallow.validate import OneOf, Range, Regexp

from dispatcher.environment import variable
from dispatcher.errors import InvalidSetting
from dispatcher.operator_rules import OperatorRule, read_rule
from dispatcher.producer_settings import DatabaseSettings, ProducerSettings, postgres_url, refuse_failpoint, url_of
from dispatcher.redis_url import sentinels_of
from dispatcher.schemas.api.addresses import EMAIL
from dispatcher.setting_fields import advanced, read, setting
from dispatcher.version import VERSION

Network = IPv4Network | IPv6Network


def check_time_zone(name: str) -> None:
    """Raises a ValidationError unless `name` is in the IANA database, such as `Europe/Prague`."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValidationError("not a time zone of the IANA database") from None


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValidationError("not a network in CIDR notation, or one with host bits set") from None


def _fernet_key(text: str) -> str:
    from cryptography.fernet import Fernet  # noqa: PLC0415 -- a process that only emits needs no keys

    try:
        Fernet(text)
    except ValueError:
        raise ValidationError("not a Fernet key; make one with: dispatcher secrets generate") from None
    return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Outbox:
    """A service's database from which events are taken in, and the name that it has here."""

    name: str
    url: str = field(repr=False)


def _outbox(text: str) -> Outbox:
    name, _, url = text.partition("=")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", name):
        raise ValidationError("each must be name=url; a name has 1 to 63 lower-case letters, digits, - or _")
    postgres_url(url)
    return Outbox(name=name, url=url)


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxy:
    """An HTTP proxy that is asked to connect to receivers. An IPv6 host has no brackets."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)


def read_proxy(url: str) -> Proxy:
    """The proxy at `http://user:password@host:port`; raises a ValidationError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    has_more = not url.isascii() or parts.path.strip("/") or parts.query or parts.fragment or parts.scheme != "http"
    if not port or not re.fullmatch(r"[a-z0-9._:-]+", host) or has_more:
        raise ValidationError("must be http://host:port, or http://user:password@host:port")
    return Proxy(host=host, port=port, username=unquote(parts.username or ""), password=unquote(parts.password or ""))


def _ip_address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise ValidationError("not an IP address") from None


def _host_name(text: str) -> str:
    name = text.lower()
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\]", name):
        raise ValidationError("not a host name; without scheme and port, such as hooks.internal")
    return name.strip("[]")


def _issuer(text: str) -> None:
    """With TLS, or on loopback: keys that come in the clear could be anybody's."""
    parts = urlsplit(text)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")):
        raise ValidationError("must start with https://")


def _redis_url(*others: str) -> Callable[[str], None]:
    has_scheme = url_of("redis", "rediss", "sentinel", *others)

    def check(text: str) -> None:
        has_scheme(text)
        if text.lower().startswith("sentinel:"):
            try:
                sentinels_of(text)
            except ValueError:
                raise ValidationError("must be sentinel://:password@host:26379;host:26379/0?master=name") from None

    return check


_EMAIL = Regexp(EMAIL, error="not an e-mail address")
_ADDRESS = Regexp(r"[0-9A-Za-z.:_-]+\Z")


@dataclass(frozen=True, kw_only=True)
class Settings(ProducerSettings, DatabaseSettings):
    """All settings, checked. URLs and keys are kept out of `repr`: they hold passwords."""

    redis_url: str = setting(
        "Redis 6.2 or newer, or Valkey: `redis://:password@host:6379/0`; with Sentinel "
        "`sentinel://:password@host:26379;host:26379/0?master=name`, to which `&sentinel_password=...` can be added; "
        "`dispatcher up` starts its own if this is empty",
        check=_redis_url(),
        secret=True,
        name="REDIS_URL",
    )
    broker_url: str = setting(
        "the broker of Celery's messages",
        check=_redis_url("amqp", "amqps", "pyamqp"),
        secret=True,
        name="BROKER_URL",
        fallback="REDIS_URL",
    )
    secret_keys: tuple[str, ...] = setting(
        "Fernet keys that encrypt signing secrets and auth headers; newest first, comma-separated; "
        "`dispatcher secrets generate` makes one",
        each=_fernet_key,
        secret=True,
        name="SECRET_KEYS",
    )
    outboxes: tuple[Outbox, ...] = advanced(
        "databases of services whose outboxes the workers drain: `name=postgresql://user:password@host/name`, several "
        "with blanks or line breaks in between",
        (),
        each=_outbox,
        separator=None,
        secret=True,
    )
    catalogue: tuple[str, ...] = setting(
        "catalogues, comma-separated, whose events can be emitted: each `api_v3`, the name of an installed one, "
        "`package.module:attribute`, or `none`; unknown events have the first one's envelope",
        ("api_v3",),
        each=str,
    )
    allowed_networks: tuple[Network, ...] = setting(
        "networks (CIDR, comma-separated) that are allowed although they are not public", (), each=_network
    )
    timeout_s: float = setting(
        "seconds for one attempt, from name look-up to the end of the response", 30.0, Range(0.1, 600)
    )
    retention_days: int = setting("days that events, finished deliveries and attempts are kept", 30, Range(1, 3_650))
    audit_days: int = advanced("days that the audit log is kept", 365, Range(1, 3_650))
    host: str = setting("address on which `dispatcher serve` listens", "127.0.0.1", _ADDRESS)
    port: int = setting("port on which `dispatcher serve` listens", 8000, Range(1, 65_535), name="PORT")
    public_url: str = setting(
        "public address of the API, `https://hooks.example.com`; if empty, the host of the request, if it is in "
        "DISPATCHER_HOSTS",
        "",
        url_of("https", "http"),
    )
    flower_url: str = advanced(
        "address of Flower, `https://flower.example.com`, for links on the console's page of workers; empty: no links",
        "",
        url_of("https", "http"),
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "networks (CIDR, comma-separated) of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted",
        (ip_network("127.0.0.0/8"), ip_network("::1/128")),
        each=_network,
    )
    web_workers: int = setting("processes of `dispatcher serve`; 0: one for every two cores", 0, Range(0, 256))
    log_level: str = setting(
        "`debug`, `info`, `warning` or `error`", "info", OneOf(("debug", "info", "warning", "error"))
    )
    log_format: str = advanced("`text`, or `json` with one object per line", "text", OneOf(("text", "json")))
    oidc_issuer: str = advanced(
        "the identity provider with which operators sign in to the console, by OpenID Connect, as it names itself: "
        "`https://id.example.com`; if empty, there is none",
        "",
        _issuer,
    )
    oidc_client_id: str = advanced("the client that the console is there", "")
    oidc_client_secret: str = advanced("the secret of that client; if empty, it is a public one", "", secret=True)
    oidc_operators: tuple[OperatorRule, ...] = advanced(
        "who is an operator, comma-separated: e-mails that the provider has verified, or `claim=value` such as "
        "`groups=webhook-admins`",
        (),
        each=read_rule,
    )
    oidc_read_only: tuple[OperatorRule, ...] = advanced(
        "who is an operator that may only read, likewise", (), each=read_rule
    )
    metrics_port: int = advanced(
        "port on which a worker serves its own metrics, or the next free one of 50; 0: none", 0, Range(0, 65_485)
    )

    smtp_host: str = advanced("host of the SMTP server for alerts by e-mail; if empty, none are sent", "")
    smtp_port: int = advanced("port of the SMTP server", 587, Range(1, 65_535))
    smtp_user: str = advanced("user to sign in to the SMTP server as; if empty, nobody signs in", "")
    smtp_password: str = advanced("password of that user", "", secret=True)
    smtp_tls: str = advanced(
        "TLS to the SMTP server: `starttls`, `tls` (from the start, as on port 465) or `none`",
        "starttls",
        OneOf(("starttls", "tls", "none")),
    )
    smtp_from: str = advanced("e-mail address that alerts come from; required with DISPATCHER_SMTP_HOST", "", _EMAIL)

    metrics_host: str = advanced("address of that port", "127.0.0.1", _ADDRESS)
    sender: str = advanced("`curl` (libcurl) or `requests` (portable, slower)", "curl", OneOf(("curl", "requests")))
    oidc_scope: str = advanced(
        "scopes that are asked for at the identity provider, with blanks in between", "openid email profile"
    )
    user_agent: str = advanced(
        "the `User-Agent` of every POST", f"webhook-dispatcher/{VERSION}", Regexp(r"[\x21-\x7e][\x20-\x7e]{0,255}\Z")
    )
    refused_networks: tuple[Network, ...] = advanced(
        "networks (CIDR, comma-separated) that are blocked even if public or allowed, such as your own addresses",
        (),
        each=_network,
    )
    egress_proxy: str = advanced(
        "an HTTP proxy by which all webhooks are reached (CONNECT), `http://user:password@host:3128`; if empty, none",
        "",
        read_proxy,
        secret=True,
    )
    egress_lookup: str = advanced(
        "who looks up the names of receivers behind that proxy: `here`, so that each address is checked and the proxy "
        "is asked for that address, or `proxy`, which must refuse private addresses itself",
        "here",
        OneOf(("here", "proxy")),
    )
    egress_addresses: tuple[IPv4Address | IPv6Address, ...] = advanced(
        "addresses of this machine, at most one of IPv4 and one of IPv6, comma-separated, from which connections to "
        "receivers, or to that proxy, are opened; if empty, the system chooses",
        (),
        each=_ip_address,
    )
    body_limit: int = advanced("bytes of a response that are read and kept", 65_536, Range(0, 16_777_216))
    retry_limit: int = advanced("retries after the first attempt", 5, Range(0, 100))
    retry_base_s: float = advanced("seconds before the first retry", 20.0, Range(0.01, 86_400))
    retry_factor: float = advanced("factor by which each further wait is longer", 5.0, Range(1, 100))
    retry_jitter: float = advanced("share by which a wait varies, in both directions", 0.2, Range(0, 0.9))
    retry_after_max_s: float = advanced(
        "longest `Retry-After` that is honoured, in seconds", 86_400.0, Range(0, 2_592_000)
    )
    redelivery_limit: int = advanced(
        "maximum redeliveries of one delivery; a replay of many leaves it out after that", 100, Range(1, 1_000_000)
    )
    window_start: int = advanced("requests in flight to an endpoint without history", 10, Range(1, 10_000))
    window_max: int = advanced("maximum requests in flight to one endpoint", 200, Range(1, 10_000))
    breaker_after: int = advanced("consecutive failures that open a webhook's breaker", 10, Range(1, 10_000))
    breaker_pause_s: float = advanced(
        "seconds before the first probe of an open breaker; doubled after each failed probe", 10.0, Range(0.01, 3_600)
    )
    breaker_pause_max_s: float = advanced("maximum seconds between two probes", 600.0, Range(0.01, 86_400))
    give_up_days: float = advanced(
        "days of nothing but failures after which a webhook is disabled", 5.0, Range(0.001, 365)
    )
    lease_s: float = advanced(
        "seconds that a claimed delivery belongs to its drain; at least twice the timeout", 60.0, Range(0.2, 3_600)
    )
    hold_s: float = advanced(
        "seconds after which the webhooks of a silent drain are free again; those of a dead process are free at once",
        15.0,
        Range(1, 600),
    )
    drain_chunk: int = advanced("webhooks in one `deliver` task", 50, Range(1, 1_000))
    reconcile_s: float = advanced(
        "seconds between two comparisons of the schedule with the rows", 15.0, Range(0.1, 3_600)
    )
    flower_deliveries: str = advanced(
        "deliveries that Flower shows as tasks: `none`, `failures` (and successes after one) or `all`",
        "failures",
        OneOf(("none", "failures", "all")),
    )
    time_zone: str = advanced(
        "time zone of accounts that are created without one; if empty, the catalogue's", "", check_time_zone
    )
    event_types_envelope: str = advanced(
        "what is around the bodies of events whose types are stored: `standard`, `cloudevents` or `api_v3`",
        "standard",
        OneOf(("standard", "cloudevents", "api_v3")),
    )
    web_threads: int = advanced(
        "requests, other than emits, that one web process serves at the same time", 8, Range(1, 256)
    )
    web_connections: int = advanced(
        "maximum connections of one web process, within `ulimit -n`; over it the longest silent connection is closed, "
        "or the new one gets 503",
        1_000,
        Range(10, 100_000),
    )
    quota: int = advanced("requests, other than emits, per client and minute", 400, Range(1, 1_000_000_000))
    emit_quota: int = advanced(
        "emits (requests, of up to 1,000 events each) per client and minute", 6_000, Range(1, 1_000_000_000)
    )
    session_idle_s: int = advanced(
        "seconds without use after which a console session ends, to the minute", 43_200, Range(120, 604_800)
    )
    password_memory_kib: int = advanced(
        "KiB of memory that one hash of a password takes; argon2id's other costs are the library's",
        65_536,
        Range(32, 4_194_304),
    )
    alert_interval_s: float = advanced(
        "seconds between two alert messages to one channel; alerts in between share the second",
        900.0,
        Range(1, 86_400),
    )
    hosts: tuple[str, ...] = advanced(
        "host names, comma-separated, that `url` and `Location` may repeat from a request, beside those of loopback; "
        "for any other they contain the address that the request arrived at",
        (),
        each=_host_name,
    )

    @property
    def oidc_host(self) -> str:
        """The identity provider's."""
        return urlsplit(self.oidc_issuer).hostname or ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerSettings:
    """What Flower needs of Settings; its variables are the same."""

    broker_url: str = field(repr=False)
    log_level: str
    log_format: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteSettings:
    """For commands that act on another machine's dispatcher; they need no other setting."""

    api: str = setting(
        "the API that commands act on, `https://hooks.example.com/api/v3`", check=url_of("https", "http")
    )
    client_id: str = setting("the client that commands act as, if DISPATCHER_API is set")
    client_secret: str = setting("the secret of that client", secret=True)


def read_settings() -> Settings:
    """Settings from the environment; raises InvalidSetting."""
    settings = read(Settings)
    if settings.lease_s < 2 * settings.timeout_s:
        raise InvalidSetting("DISPATCHER_LEASE_S", "must be at least twice DISPATCHER_TIMEOUT_S")
    if settings.window_start > settings.window_max:
        raise InvalidSetting("DISPATCHER_WINDOW_START", "must not exceed DISPATCHER_WINDOW_MAX")
    if len({address.version for address in settings.egress_addresses}) < len(settings.egress_addresses):
        raise InvalidSetting("DISPATCHER_EGRESS_ADDRESSES", "must be at most one address of IPv4 and one of IPv6")
    if len({outbox.name for outbox in settings.outboxes}) < len(settings.outboxes):
        raise InvalidSetting("DISPATCHER_OUTBOXES", "two outboxes have the same name")
    if settings.smtp_host and not settings.smtp_from:
        raise InvalidSetting("DISPATCHER_SMTP_FROM", "required: DISPATCHER_SMTP_HOST is set")
    if settings.smtp_user and settings.smtp_tls == "none":
        raise InvalidSetting(
            "DISPATCHER_SMTP_TLS", "must not be none with DISPATCHER_SMTP_USER: the password would be sent in plain"
        )
    if settings.oidc_issuer and not settings.oidc_client_id:
        raise InvalidSetting("DISPATCHER_OIDC_CLIENT_ID", "required where DISPATCHER_OIDC_ISSUER is set")
    if settings.oidc_issuer and not (settings.oidc_operators or settings.oidc_read_only):
        raise InvalidSetting("DISPATCHER_OIDC_OPERATORS", "required where DISPATCHER_OIDC_ISSUER is set")
    refuse_failpoint(settings)
    return settings


def read_broker_settings() -> BrokerSettings:
    """BrokerSettings from the environment; raises InvalidSetting. Without BROKER_URL it is REDIS_URL."""
    return read(BrokerSettings, declared=Settings)


def read_remote_settings() -> RemoteSettings | None:
    """RemoteSettings from the environment, None where DISPATCHER_API is not set; raises InvalidSetting."""
    return read(RemoteSettings) if variable("DISPATCHER_API") else None
