"""System checks: what `manage.py check` says of models that emit."""

from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, router

from dispatcher.contrib.django.databases import alias
from dispatcher.contrib.django.registry import watched
from dispatcher.producer_settings import read_producer_settings


@register(Tags.models)
def check_events(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """The events are in the catalogue, the fields in the model, and the model where an event can join it."""
    messages: list[CheckMessage] = []
    for model, of in watched.items():
        messages += [Error(problem, obj=model, id="dispatcher.E001") for problem in of.events.problems()]
        messages += [
            Error(f"fields: it has no {name!r}", obj=model, id="dispatcher.E002") for name in of.unknown_fields
        ]
        using = router.db_for_write(model)
        if connections[using].vendor != "postgresql":
            what = f"it emits, but its database {using!r} is not PostgreSQL"
            messages.append(Error(what, hint="An event is stored beside the change.", obj=model, id="dispatcher.E003"))
        elif using != alias():
            what = f"it emits into the database {using!r}, and the dispatcher's is {alias()!r}"
            messages.append(Error(what, hint='Set DISPATCHER = {"DATABASE": ...}.', obj=model, id="dispatcher.E004"))
    return messages


@register(Tags.database)
def check_tables(app_configs: Sequence[Any] | None, databases: Sequence[str] | None, **_: Any) -> list[CheckMessage]:
    """The tables, or the outbox's, are there. Asked by `manage.py check --database default`, and by `migrate`."""
    if alias() not in (databases or ()) or connections[alias()].vendor != "postgresql":
        return []
    settings = read_producer_settings()
    table = "dispatcher_outbox.events" if settings.outbox else f"{settings.schema}.events_waiting"
    with connections[alias()].cursor() as cursor:
        cursor.execute("select to_regclass(%s) is not null", [table])
        if cursor.fetchone()[0]:
            return []
    what = f"the database {alias()!r} has no tables of the dispatcher"
    return [
        checks.Warning(
            what, hint="Run: manage.py migrate (with the extra `server`), or dispatcher migrate", id="dispatcher.W001"
        )
    ]
