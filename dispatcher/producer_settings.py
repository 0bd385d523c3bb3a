"""The settings of a service that emits, with which those of a server begin (`settings`).

They are apart because a first emit would wait 8 ms for the rest.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from marshmallow import ValidationError
from marshmallow.validate import Range

from dispatcher.errors import InvalidSetting
from dispatcher.setting_fields import advanced, read, setting


def url_of(*schemes: str) -> Callable[[str], None]:
    """A check of a URL: it raises a ValidationError unless the scheme is one of these."""

    def check(text: str) -> None:
        scheme = text.partition("://")[0].lower()  # `urlsplit` takes one host only
        if text.count("[") != text.count("]"):
            raise ValidationError("not a URL")
        if scheme not in schemes:
            raise ValidationError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")

    return check


postgres_url = url_of("postgresql", "postgres")


def _schema_name(name: str) -> None:
    # It is written into statements without quotes; Postgres keeps names that begin with pg_ for itself.
    if not re.fullmatch(r"(?!pg_)[a-z_][a-z0-9_]{0,62}", name):
        raise ValidationError("must be a plain name of a schema: small letters, digits and _; at most 63 characters")


@dataclass(frozen=True, kw_only=True)
class ProducerSettings:
    """What every emit needs."""

    outbox: bool = advanced(
        "`1` in a service that emits: its events go to the outbox in its own database, and `DATABASE_URL` is that one",
        False,
    )
    schema: str = advanced(
        "Postgres schema that holds the dispatcher's tables: a plain name in lower case", "dispatcher", _schema_name
    )
    tracing: bool = advanced(
        "`1` traces emit to attempt with OpenTelemetry, and sends receivers a `traceparent`; `OTEL_...` configure the "
        "exporter",
        False,
    )
    testing: bool = advanced("`1` lets a test set DISPATCHER_FAILPOINT", False)
    failpoint: str = advanced("kills the process at this point (`dispatcher/failpoints.py`); tests only", "")


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """And what an emit without a connection needs."""

    database_url: str = setting(
        "Postgres 14 or newer, `postgresql://user:password@host/name`; several servers: "
        "`...@host:5432,host:5432/name?target_session_attrs=read-write`; without it `dispatcher up` starts its own",
        check=postgres_url,
        secret=True,
        name="DATABASE_URL",
    )
    pool_size: int = advanced(
        "connections to Postgres in one process; at least the worker's threads", 20, Range(1, 1_000)
    )


def read_producer_settings() -> ProducerSettings:
    """ProducerSettings from the environment; raises InvalidSetting."""
    settings = read(ProducerSettings)
    refuse_failpoint(settings)
    return settings


def refuse_failpoint(settings: ProducerSettings) -> None:
    """Raises InvalidSetting where a failpoint is set outside of a test."""
    if settings.failpoint and not settings.testing:
        raise InvalidSetting("DISPATCHER_FAILPOINT", "refused: it kills the process, for tests only")


def read_database_settings() -> DatabaseSettings:
    """DatabaseSettings from the environment; raises InvalidSetting."""
    return read(DatabaseSettings)
