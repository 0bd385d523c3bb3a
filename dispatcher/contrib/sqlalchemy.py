"""SQLAlchemy's models emit by themselves: `listen(Session, {Invoice: ModelEvents(resource="invoice", account=...)})`.

Each flush emits what it has changed, in the session's transaction: a savepoint that is rolled back takes its events
along. What an attribute was is taken from its history; where that is not known, it is read before the flush.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import ClauseElement, Connection, event, inspect, select
from sqlalchemy.orm import Mapper, Session, UOWTransaction, object_session, scoped_session, sessionmaker

from dispatcher.contrib.model_events import Action, Change, ModelEvents

Sessions = type[Session] | sessionmaker[Any] | scoped_session[Any] | Session
"""What has events of sessions. Asynchronous ones have their `sync_session_class`: by default `Session`."""


def listen(sessions: Sessions, models: Mapping[type, ModelEvents]) -> "ModelListener":
    """From now on, what these sessions flush of these models emits. Raises ValueError for events that cannot be."""
    listener = ModelListener(models)
    event.listen(sessions, "before_flush", listener.before_flush)
    event.listen(sessions, "after_flush", listener.after_flush)
    for model in models:
        event.listen(model, "after_insert", listener.after_insert, propagate=True)
        event.listen(model, "after_update", listener.after_update, propagate=True)
        event.listen(model, "after_delete", listener.after_delete, propagate=True)
    return listener


@dataclass
class _Flush:
    """One under way. `stored` has what the row of an instance (by id) holds, of attributes that do not know it."""

    stored: dict[int, dict[str, Any]]
    changed: list[Change] = field(default_factory=list)


class ModelListener:
    """Collects the changes of a flush, and emits them at its end."""

    def __init__(self, models: Mapping[type, ModelEvents]) -> None:
        self._models = dict(models)
        problems = [f"{model.__name__}: {problem}" for model in models for problem in self._problems(model)]
        if problems:
            raise ValueError("; ".join(problems))

    def emit_changes(self, session: Session, action: Action, instances: Iterable[Any]) -> None:
        """The events of instances that were changed without a flush: by `insert()`, `update()` and `delete()`.

        It emits one event for each instance, by one statement for each model and account, in the session's transaction.
        """
        self._emit(session, [Change(instance, action, {}) for instance in instances])

    def before_flush(self, session: Session, *_: object) -> None:
        """Reads what rows hold, where an attribute was set without having been loaded, or to an SQL expression."""
        stored = {id(instance): self._stored(session, instance) for instance in session.dirty if self._of(instance)}
        session.info[self] = _Flush(stored)

    def after_insert(self, _: Mapper[Any], __: Connection, instance: Any) -> None:
        """There is a new row."""
        self._add(instance, "created")

    def after_update(self, _: Mapper[Any], __: Connection, instance: Any) -> None:
        """There may be a changed row: SQLAlchemy says so of each instance that was touched."""
        self._add(instance, "updated")

    def after_delete(self, _: Mapper[Any], __: Connection, instance: Any) -> None:
        """A row is gone."""
        self._add(instance, "deleted")

    def after_flush(self, session: Session, _: UOWTransaction) -> None:
        """Emits; the session's statements are all sent, so that bodies may load what belongs to an instance."""
        flush: _Flush = session.info.pop(self)
        self._emit(session, flush.changed)

    def _add(self, instance: Any, action: Action) -> None:
        session = object_session(instance)
        flush: _Flush | None = None if session is None else session.info.get(self)
        if flush is None:  # of sessions that are not listened to
            return
        changes = dict(self._changes(instance, flush)) if action == "updated" else {}
        if changes or action != "updated":
            flush.changed.append(Change(instance, action, changes))

    def _emit(self, session: Session, changed: Iterable[Change]) -> None:
        by_events: dict[int, tuple[ModelEvents, list[Change]]] = {}
        for change in changed:
            of = self._of(change.instance)
            if of is None:
                raise LookupError(f"{type(change.instance).__name__} is not listened to")
            by_events.setdefault(id(of), (of, []))[1].append(change)
        for of, changes in by_events.values():
            of.emit(changes, session)

    def _of(self, instance: Any) -> ModelEvents | None:
        return next((self._models[class_] for class_ in type(instance).__mro__ if class_ in self._models), None)

    def _watched(self, instance: Any) -> list[str]:
        """The attributes whose change is an update."""
        events = self._of(instance)
        if events is None or events.fields is not None:
            return [] if events is None else [*cast("tuple[str, ...]", events.fields)]
        columns = inspect(instance).mapper.column_attrs
        return [attribute.key for attribute in columns if all(column.onupdate is None for column in attribute.columns)]

    def _stored(self, session: Session, instance: Any) -> dict[str, Any]:
        state = inspect(instance)
        columns = state.mapper.column_attrs
        unknown = [
            name for name in self._watched(instance) if name in columns and _is_unknown(state.attrs[name].history)
        ]
        if not unknown:
            return {}
        of_row = [column == value for column, value in zip(state.mapper.primary_key, state.identity, strict=True)]
        row = session.execute(select(*(getattr(type(instance), name) for name in unknown)).where(*of_row)).one_or_none()
        return {} if row is None else dict(zip(unknown, row, strict=True))

    def _changes(self, instance: Any, flush: _Flush) -> Iterator[tuple[str, tuple[Any, Any]]]:
        state, stored = inspect(instance), flush.stored.get(id(instance), {})
        for name in self._watched(instance):
            if name in stored:
                if stored[name] != getattr(instance, name):
                    yield name, (stored[name], getattr(instance, name))
            elif (history := state.attrs[name].history).has_changes():
                yield name, (_first(history.deleted), _first(history.added))

    def _problems(self, model: type) -> Iterator[str]:
        events, mapper = self._models[model], cast("Mapper[Any]", inspect(model))
        yield from events.problems()
        unknown = set(events.fields or ()) - {attribute.key for attribute in mapper.attrs}
        yield from (f"fields: it has no {name!r}" for name in sorted(unknown))


def _is_unknown(history: Any) -> bool:
    """Whether an attribute has a new value, and not its old one, or not its new one yet."""
    return bool(history.added) and (not history.deleted or isinstance(history.added[0], ClauseElement))


def _first(values: Any) -> Any:
    return values[0] if values else None
