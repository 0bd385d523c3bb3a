"""Models that emit: `@emits("invoice", ...)` on a model, or `register(Invoice, "invoice", ...)` in `AppConfig.ready`.

What a save changes is seen by the values that the row had, so that a save that changes nothing emits nothing. The
event belongs to the transaction of the change: where there is none, `save` is given one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, TypeVar

from django.conf import settings
from django.db import connections, router, transaction
from django.db.models.signals import post_delete, post_save

from dispatcher.contrib.django import loaded
from dispatcher.contrib.model_events import Change, ModelEvents

Model = TypeVar("Model", bound=type)


@dataclass(frozen=True)
class RegisteredModel:
    """A model and its events."""

    model: Any
    events: ModelEvents

    @cached_property
    def fields(self) -> list[Any]:
        """The columns whose change is an update: those of `fields`, or all but those that each save sets itself."""
        names = self.events.fields
        concrete = self.model._meta.concrete_fields
        if names is None:
            return [field for field in concrete if not getattr(field, "auto_now", False)]
        return [field for field in concrete if field.name in names or field.attname in names]

    @cached_property
    def throughs(self) -> dict[Any, str]:
        """The table of each many-to-many field of `fields` → the field's name."""
        many = [field for field in self.model._meta.many_to_many if field.name in (self.events.fields or ())]
        return {field.remote_field.through: field.name for field in many}

    @property
    def unknown_fields(self) -> list[str]:
        """Those of `fields` that the model does not have."""
        fields = [*self.model._meta.concrete_fields, *self.model._meta.many_to_many]
        return sorted(set(self.events.fields or ()) - {name for f in fields for name in (f.name, f.attname)})

    def emit(self, changed: Iterable[Change], using: str) -> None:
        """In the present transaction of the database `using`."""
        self.events.emit(changed, connections[using])


watched: dict[Any, RegisteredModel] = {}


def emits(resource: str, **events: Any) -> Callable[[Model], Model]:
    """A class decorator: the model emits; `ModelEvents` has the options."""

    def registered(model: Model) -> Model:
        register(model, resource, **events)
        return model

    return registered


def register(model: Any, resource: str, **events: Any) -> None:
    """The same for a model that is elsewhere. `DISPATCHER = {"ON_INVALID": ...}` is the default of `on_invalid`."""
    if model in watched:
        raise ValueError(f"{model._meta.label} is registered already")
    events.setdefault("on_invalid", getattr(settings, "DISPATCHER", {}).get("ON_INVALID", "raise"))
    watched[model] = RegisteredModel(model, ModelEvents(resource=resource, **events))
    _know_the_row(model, watched[model])
    post_save.connect(_saved, sender=model)
    post_delete.connect(_deleted, sender=model)


def model_events(model: Any) -> ModelEvents:
    """The events of a registered model; raises LookupError."""
    if model not in watched:
        raise LookupError(f"{model._meta.label} is not registered: decorate it with @emits(...)")
    return watched[model].events


def _know_the_row(model: Any, of: RegisteredModel) -> None:
    """Its instances remember what they read, and save in a transaction.

    `from_db` and `refresh_from_db` are where Django's documentation has one do so ("Customizing model loading").
    """
    from_db, refresh_from_db, save = model.from_db.__func__, model.refresh_from_db, model.save

    @wraps(from_db)
    def remembering_from_db(cls: Any, *args: Any, **kwargs: Any) -> Any:
        instance = from_db(cls, *args, **kwargs)
        loaded.of_row(instance, of.fields)
        return instance

    @wraps(refresh_from_db)
    def remembering_refresh(self: Any, using: Any = None, fields: Any = None, *args: Any, **kwargs: Any) -> None:
        refresh_from_db(self, using, fields, *args, **kwargs)
        names = None if fields is None else set(fields)
        read = [f for f in of.fields if names is None or f.name in names or f.attname in names]
        loaded.written(self, read, using or self._state.db)  # in a transaction it may have read what it wrote itself

    @wraps(save)
    def save_in_a_transaction(self: Any, *args: Any, using: Any = None, **kwargs: Any) -> None:
        alias = using or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=alias, savepoint=False):
            save(self, *args, using=using, **kwargs)

    model.from_db = classmethod(remembering_from_db)
    model.refresh_from_db = remembering_refresh
    model.save = save_in_a_transaction


def _saved(
    sender: Any, instance: Any, created: bool, raw: bool, using: str, update_fields: Any = None, **_: Any
) -> None:
    of = watched[sender]
    saved = of.fields if update_fields is None else [field for field in of.fields if field.name in update_fields]
    changes = {} if created else loaded.changes(instance, saved, using)
    loaded.written(instance, saved, using)
    if raw or not (created or changes):  # raw: a fixture, which changes nothing that anybody did
        return
    if expressions := [name for name, (_, value) in changes.items() if hasattr(value, "resolve_expression")]:
        instance.refresh_from_db(using=using, fields=expressions)
    of.emit([Change(instance, "created" if created else "updated", changes)], using)


def m2m_emits(
    sender: Any, instance: Any, action: str, reverse: bool, pk_set: set[Any] | None, using: str, **_: Any
) -> None:
    """The receiver of `m2m_changed` for all models: the tables in between are known only once all are loaded."""
    for of in watched.values():
        if sender in of.throughs:
            _m2m_changed(of, of.throughs[sender], instance, action, reverse, pk_set, using)


def _m2m_changed(
    of: RegisteredModel, name: str, instance: Any, action: str, reverse: bool, pk_set: set[Any] | None, using: str
) -> None:
    """Before rows are removed, it is seen whose they are; after that, these have changed."""
    kept = f"_dispatcher_{of.model._meta.label_lower}_{name}"
    if action in ("pre_remove", "pre_clear"):
        ours = of.model._base_manager.using(using)
        if reverse:
            of_them = {name: instance} if pk_set is None else {name: instance, "pk__in": pk_set}
            instance.__dict__[kept] = list(ours.filter(**of_them).distinct())
        else:
            of_them = {"pk": instance.pk} | ({f"{name}__isnull": False} if pk_set is None else {f"{name}__in": pk_set})
            instance.__dict__[kept] = [instance] if ours.filter(**of_them).exists() else []
        return
    if action == "post_add":
        changed = list(of.model._base_manager.using(using).filter(pk__in=pk_set)) if reverse else [instance]
        changed = changed if pk_set else []
    elif action in ("post_remove", "post_clear"):
        changed = instance.__dict__.pop(kept, [])
    else:
        return
    of.emit([Change(one, "updated", {name: (None, None)}) for one in changed], using)


def _deleted(sender: Any, instance: Any, using: str, **_: Any) -> None:
    watched[sender].emit([Change(instance, "deleted", {})], using)
