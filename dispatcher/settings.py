"""The one reader of the environment. Every variable has a name, a default or "required", bounds and a sentence.

A setting is a field of `Settings`; its variable is the field's name in capitals, after `DISPATCHER_` unless other
software knows the same variable (DATABASE_URL and the like). A test compares the table of
docs/reference/settings.md with `describe()`.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cryptography.fernet import Fernet
from environs import Env, EnvError
from marshmallow import ValidationError
from marshmallow.validate import OneOf, Range, Regexp

from dispatcher.errors import InvalidSetting
from dispatcher.redis_url import sentinels_of
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
        return ip_network(text.strip())
    except ValueError:
        raise ValidationError("not a network in CIDR notation, or one with host bits set") from None


def _fernet_key(text: str) -> str:
    try:
        Fernet(text.strip())
    except ValueError:
        raise ValidationError("not a Fernet key; make one with: dispatcher secrets generate") from None
    return text.strip()


def _host_name(text: str) -> str:
    name = text.strip().lower()
    if not _HOST_NAME.fullmatch(name):
        raise ValidationError("not a host name; without scheme and port, such as hooks.internal")
    return name.strip("[]")


def _url(*schemes: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        try:
            scheme = urlsplit(text).scheme
        except ValueError:
            raise ValidationError("not a URL") from None
        if scheme not in schemes:
            raise ValidationError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")

    return check


_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\]")


def _redis_url(*schemes: str) -> Callable[[str], None]:
    check_scheme = _url(*schemes)

    def check(text: str) -> None:
        check_scheme(text)
        try:
            sentinels_of(text)
        except ValueError:
            raise ValidationError("must be sentinel://:password@host:26379;host:26379/0?master=name") from None

    return check


def _setting(what: str, default: Any = MISSING, *, secret: bool = False, variable: str = "", **reader: Any) -> Any:
    """A field of Settings: its sentence, its default, and how environs reads it (`validate`, `subcast`)."""
    return field(
        default=default, repr=not secret, metadata={"what": what, "variable": variable, "secret": secret, **reader}
    )


def _within(low: float, high: float) -> Range:
    return Range(min=low, max=high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the process was told, checked. URLs and keys are kept out of `repr`: they hold passwords."""

    database_url: str = _setting(
        "Postgres 14 or newer, `postgresql://user:password@host/name`; several servers: "
        "`...@host:5432,host:5432/name?target_session_attrs=read-write`",
        secret=True,
        variable="DATABASE_URL",
        validate=_url("postgresql", "postgres"),
    )
    redis_url: str = _setting(
        "Redis 6.2 or newer, or Valkey: `redis://:password@host:6379/0`; with Sentinel "
        "`sentinel://:password@host:26379;host:26379/0?master=name`, to which `&sentinel_password=...` can be added",
        secret=True,
        variable="REDIS_URL",
        validate=_redis_url("redis", "rediss", "sentinel"),
    )
    broker_url: str = _setting(
        "the broker of Celery's messages; if empty, REDIS_URL",
        "",
        secret=True,
        variable="BROKER_URL",
        validate=_redis_url("redis", "rediss", "sentinel", "amqp", "amqps", "pyamqp"),
    )
    secret_keys: tuple[str, ...] = _setting(
        "Fernet keys that encrypt signing secrets and auth headers; newest first, comma-separated",
        secret=True,
        variable="SECRET_KEYS",
        subcast=_fernet_key,
    )
    sender: str = _setting(
        "`curl` (libcurl) or `requests` (portable, slower)", "curl", validate=OneOf(("curl", "requests"))
    )
    allowed_networks: tuple[Network, ...] = _setting(
        "networks (CIDR, comma-separated) that are allowed although they are not public", (), subcast=_network
    )
    refused_networks: tuple[Network, ...] = _setting(
        "networks (CIDR, comma-separated) that are blocked even if public or allowed, such as your own addresses",
        (),
        subcast=_network,
    )
    timeout_s: float = _setting(
        "seconds for one attempt, from name look-up to the end of the response", 30.0, validate=_within(0.1, 600)
    )
    connect_timeout_s: float = _setting(
        "seconds of the timeout for look-up, connect and TLS", 10.0, validate=_within(0.1, 600)
    )
    body_limit: int = _setting("bytes of a response that are read and kept", 65_536, validate=_within(0, 16_777_216))
    lease_s: float = _setting(
        "seconds that a claimed delivery belongs to its drain; at least twice the timeout",
        60.0,
        validate=_within(0.2, 3_600),
    )
    loss_limit: int = _setting(
        "leases that may end without a record before the delivery is failed", 10, validate=_within(1, 1_000)
    )
    retry_limit: int = _setting("retries after the first attempt", 5, validate=_within(0, 100))
    retry_base_s: float = _setting("seconds before the first retry", 20.0, validate=_within(0.01, 86_400))
    retry_factor: float = _setting("factor by which each further wait is longer", 5.0, validate=_within(1, 100))
    retry_jitter: float = _setting("share by which a wait varies, in both directions", 0.2, validate=_within(0, 0.9))
    retry_after_max_s: float = _setting(
        "longest `Retry-After` that is honoured, in seconds", 86_400.0, validate=_within(0, 2_592_000)
    )
    redelivery_limit: int = _setting(
        "maximum redeliveries of one delivery; a replay of many leaves it out after that",
        100,
        validate=_within(1, 1_000_000),
    )
    window_start: int = _setting("requests in flight to an endpoint without history", 10, validate=_within(1, 10_000))
    window_max: int = _setting("maximum requests in flight to one endpoint", 200, validate=_within(1, 10_000))
    slow_after_s: float = _setting(
        "seconds; a webhook with slower responses is drained on the slow queue", 5.0, validate=_within(0.01, 600)
    )
    breaker_after: int = _setting("consecutive failures that open a webhook's breaker", 10, validate=_within(1, 10_000))
    breaker_pause_s: float = _setting(
        "seconds before the first probe of an open breaker; doubled after each failed probe",
        10.0,
        validate=_within(0.01, 3_600),
    )
    breaker_pause_max_s: float = _setting("maximum seconds between two probes", 600.0, validate=_within(0.01, 86_400))
    give_up_days: float = _setting(
        "days of nothing but failures after which a webhook is disabled", 5.0, validate=_within(0.001, 365)
    )
    fan_out_batch: int = _setting("events in one fan-out transaction", 500, validate=_within(1, 10_000))
    drain_chunk: int = _setting("webhooks in one `deliver` task", 50, validate=_within(1, 1_000))
    flush_ms: int = _setting("maximum milliseconds before results are recorded", 50, validate=_within(1, 10_000))
    flush_size: int = _setting("maximum results recorded at once", 200, validate=_within(1, 10_000))
    tick_ms: int = _setting("milliseconds between two reads of the schedule", 250, validate=_within(10, 60_000))
    reconcile_s: float = _setting(
        "seconds between two comparisons of the schedule with the rows", 15.0, validate=_within(0.1, 3_600)
    )
    prune_s: float = _setting("seconds between two prunings", 3_600.0, validate=_within(1, 604_800))
    hold_s: float = _setting(
        "seconds after which the webhooks of a silent drain are free again; those of a dead process are free at once",
        15.0,
        validate=_within(1, 600),
    )
    retention_days: int = _setting(
        "days that events, finished deliveries and attempts are kept", 30, validate=_within(1, 3_650)
    )
    pool_size: int = _setting(
        "connections to Postgres in one process; at least the worker's threads", 20, validate=_within(1, 1_000)
    )
    time_zone: str = _setting(
        "time zone of accounts that are created without one", "Europe/Prague", validate=check_time_zone
    )
    user_agent: str = _setting(
        "the `User-Agent` of every POST",
        f"webhook-dispatcher/{VERSION}",
        validate=Regexp(r"[\x21-\x7e][\x20-\x7e]{0,255}\Z"),
    )
    flower_deliveries: str = _setting(
        "deliveries that Flower shows as tasks: `none`, `failures` (and successes after one) or `all`",
        "failures",
        validate=OneOf(("none", "failures", "all")),
    )
    flower_rate: float = _setting("maximum of these, per second and worker", 50.0, validate=_within(0.1, 1_000))
    log_level: str = _setting(
        "`debug`, `info`, `warning` or `error`", "info", validate=OneOf(("debug", "info", "warning", "error"))
    )
    log_format: str = _setting("`text`, or `json` with one object per line", "text", validate=OneOf(("text", "json")))
    metrics_port: int = _setting(
        "port on which a worker serves its own metrics, or the next free one of 50; 0: none",
        0,
        validate=_within(0, 65_485),
    )
    metrics_host: str = _setting("address of that port", "127.0.0.1", validate=Regexp(r"[0-9A-Za-z.:_-]+\Z"))
    tracing: bool = _setting(
        "`1` traces emit to attempt with OpenTelemetry, and sends receivers a `traceparent`; `OTEL_...` configure the "
        "exporter",
        False,
    )
    host: str = _setting(
        "address on which `dispatcher serve` listens", "127.0.0.1", validate=Regexp(r"[0-9A-Za-z.:_-]+\Z")
    )
    port: int = _setting("port on which `dispatcher serve` listens", 8000, variable="PORT", validate=_within(1, 65_535))
    web_workers: int = _setting("processes of `dispatcher serve`", 2, validate=_within(1, 256))
    web_threads: int = _setting(
        "requests, other than emits, that one web process serves at the same time", 8, validate=_within(1, 256)
    )
    web_connections: int = _setting(
        "maximum connections of one web process, within `ulimit -n`; over it the longest silent connection is closed, "
        "or the new one gets 503",
        1_000,
        validate=_within(10, 100_000),
    )
    quota: int = _setting("requests, other than emits, per client and minute", 400, validate=_within(1, 1_000_000_000))
    emit_quota: int = _setting(
        "emits (requests, of up to 1,000 events each) per client and minute",
        6_000,
        validate=_within(1, 1_000_000_000),
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        "networks (CIDR, comma-separated) of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted",
        (ip_network("127.0.0.0/8"), ip_network("::1/128")),
        subcast=_network,
    )
    session_idle_s: int = _setting(
        "seconds without use after which a console session ends, to the minute",
        43_200,
        validate=_within(120, 604_800),
    )
    public_url: str = _setting(
        "public address of the API, `https://hooks.example.com`; if empty, the host of the request, if it is in "
        "DISPATCHER_HOSTS",
        "",
        validate=_url("https", "http"),
    )
    hosts: tuple[str, ...] = _setting(
        "host names, comma-separated, that `url` and `Location` may repeat from a request, beside those of loopback; "
        "for any other they contain the address that the request arrived at",
        (),
        subcast=_host_name,
    )
    testing: bool = _setting("`1` lets a test set DISPATCHER_FAILPOINT", False)
    failpoint: str = _setting("kills the process at this point (`dispatcher/failpoints.py`); tests only", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerSettings:
    """What Flower needs of Settings; its variables are the same."""

    broker_url: str = field(repr=False)
    log_level: str
    log_format: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteSettings:
    """Of a command that is to act on another machine's dispatcher; it needs no other setting."""

    api: str = _setting(
        "for commands only: the API that they act on, `https://hooks.example.com/api/v3`; if empty, they act on the "
        "database",
        "",
        validate=_url("https", "http"),
    )
    client_id: str = _setting("for commands only: the client that they act as", "")
    client_secret: str = _setting("for commands only: the secret of that client", "", secret=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A row of the documented table. `default` is "required" or the value as one would write it."""

    name: str
    default: str
    what: str


def describe(*kinds: type[Settings] | type[RemoteSettings]) -> Iterator[Variable]:
    """Every variable of these, or of all, in the order of their fields: Settings, then RemoteSettings."""
    for setting in (each for kind in kinds or (Settings, RemoteSettings) for each in fields(kind)):
        default = setting.default
        written = "required" if default is MISSING else _written(default)
        yield Variable(name=_variable(setting), default=written, what=setting.metadata["what"])


def _written(default: object) -> str:
    if default in ("", ()):
        return "empty"
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, bool):
        return str(int(default))
    return f"{default:.10g}" if isinstance(default, float) else str(default)


def read_settings() -> Settings:
    """Settings from the environment; raises InvalidSetting, naming the variable and never repeating its value."""
    env = Env(eager=True)
    values = {setting.name: _read(env, setting) for setting in fields(Settings)}
    values["broker_url"] = values["broker_url"] or values["redis_url"]
    settings = Settings(**values)
    _check_together(settings)
    return settings


def read_broker_settings() -> BrokerSettings:
    """BrokerSettings from the environment; raises InvalidSetting. Without BROKER_URL it is REDIS_URL."""
    env, known = Env(eager=True), {setting.name: setting for setting in fields(Settings)}
    values = {setting.name: _read(env, known[setting.name]) for setting in fields(BrokerSettings)}
    values["broker_url"] = values["broker_url"] or _read(env, known["redis_url"])
    return BrokerSettings(**values)


def read_remote_settings() -> RemoteSettings | None:
    """RemoteSettings from the environment, None where DISPATCHER_API is not set; raises InvalidSetting."""
    env = Env(eager=True)
    found = RemoteSettings(**{setting.name: _read(env, setting) for setting in fields(RemoteSettings)})
    if not found.api:
        return None
    for setting in fields(RemoteSettings):
        if not getattr(found, setting.name):
            raise InvalidSetting(
                _variable(setting), f"required where DISPATCHER_API is set: {setting.metadata['what']}"
            )
    return found


def _variable(setting: Field[Any]) -> str:
    return setting.metadata["variable"] or f"DISPATCHER_{setting.name.upper()}"


def _read(env: Env, setting: Field[Any]) -> Any:
    name = _variable(setting)
    options = {key: value for key, value in setting.metadata.items() if key in ("validate", "subcast")}
    if not os.environ.get(name, "").strip():  # `X=` in an .env file means "not set"
        if setting.default is MISSING:
            raise InvalidSetting(name, f"required: {setting.metadata['what']} (`dispatcher up` brings its own)")
        return setting.default
    kind = "list" if "subcast" in options else type(setting.default).__name__
    reader = getattr(env, kind if kind in ("list", "int", "float", "bool") else "str")
    try:
        value = reader(name, **options)
    except EnvError as error:
        raise InvalidSetting(name, _reason(error)) from None
    return tuple(value) if kind == "list" else value


def _reason(error: EnvError) -> str:
    """What marshmallow says of the value, without the value."""
    messages = getattr(error, "error_messages", None) or ["invalid"]
    if isinstance(messages, dict):
        messages = [text for texts in messages.values() for text in texts]
    return " ".join(str(message) for message in messages).rstrip(".")


def _check_together(settings: Settings) -> None:
    if settings.lease_s < 2 * settings.timeout_s:
        raise InvalidSetting("DISPATCHER_LEASE_S", "must be at least twice DISPATCHER_TIMEOUT_S")
    if settings.window_start > settings.window_max:
        raise InvalidSetting("DISPATCHER_WINDOW_START", "must not exceed DISPATCHER_WINDOW_MAX")
    if settings.failpoint and not settings.testing:
        raise InvalidSetting("DISPATCHER_FAILPOINT", "refused: it kills the process, for tests only")
