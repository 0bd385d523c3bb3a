"""What a service calls by itself: one event, and the events of what bulk operations have changed."""

from collections.abc import Iterable
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

import dispatcher
from dispatcher.contrib.django.registry import model_events
from dispatcher.contrib.model_events import Action, Change
from dispatcher.model.event import Event


def emit(name: str, *, account: str, using: str = DEFAULT_DB_ALIAS, **emitted: Any) -> Event:
    """`dispatcher.emit` in the present transaction of the database `using`."""
    return dispatcher.emit(name, account=account, connection=connections[using], **emitted)


def emit_changes(action: Action, instances: Iterable[Any], *, using: str = DEFAULT_DB_ALIAS) -> None:
    """The events of instances that were changed without `save`: by `bulk_create`, `bulk_update`, `QuerySet.update`.

    Django sends no signal for these. Call it in the same `transaction.atomic`, after the change:

        with transaction.atomic():
            emit_changes("created", Invoice.objects.bulk_create(invoices))
            paid.update(status="paid")
            emit_changes("updated", Invoice.objects.filter(...))

    It emits one event for each instance, by one statement for each model and account.
    """
    by_model: dict[Any, list[Change]] = {}
    for instance in instances:
        by_model.setdefault(type(instance), []).append(Change(instance, action, {}))
    with transaction.atomic(using=using, savepoint=False):
        for model, changed in by_model.items():
            model_events(model).emit(changed, connections[using])
