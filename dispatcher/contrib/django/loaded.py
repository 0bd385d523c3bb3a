"""What an instance's row held when it was last read or written, so that a save knows what it changes."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from django.db import connections, transaction

_KEY = "_dispatcher_loaded"
_UNKNOWN = object()


class _Commit:
    """Whether a transaction was committed, with the savepoint in it: Django forgets what is rolled back."""

    def __init__(self) -> None:
        self.done = False

    def __call__(self) -> None:
        self.done = True


def of_row(instance: Any, fields: Iterable[Any]) -> None:
    """The instance has just been read from the database."""
    values = instance.__dict__.get(_KEY, [({}, None)])[-1][0] | _values(instance, fields)
    instance.__dict__[_KEY] = [(values, None)]


def written(instance: Any, fields: Iterable[Any], using: str) -> None:
    """The instance has just been written, in a transaction that is still open."""
    commit = _Commit()
    transaction.on_commit(commit, using=using)
    before = _known(instance, using) or {}
    instance.__dict__.setdefault(_KEY, []).append((before | _values(instance, fields), commit))


def changes(instance: Any, fields: Iterable[Any], using: str) -> dict[str, tuple[Any, Any]]:
    """Field → its value in the row and in the instance, where they differ; None for what is not known of the row."""
    before = _known(instance, using) or {}
    now = _values(instance, fields)
    return {
        field.name: (before.get(field.attname), now[field.attname])
        for field in fields
        if field.attname in now and before.get(field.attname, _UNKNOWN) != now[field.attname]
    }


def _known(instance: Any, using: str) -> dict[str, Any] | None:
    """The values of the last write that was not rolled back, or of the last read; None where there is none."""
    states: list[tuple[dict[str, Any], _Commit | None]] = instance.__dict__.get(_KEY, [])
    while states:
        values, commit = states[-1]
        if commit is None or commit.done:
            states[:-1] = []
            return values
        if any(waiting[1] is commit for waiting in reversed(connections[using].run_on_commit)):
            return values
        states.pop()
    return None


def _values(instance: Any, fields: Iterable[Any]) -> dict[str, Any]:
    """As they are stored, of the fields that are loaded. An expression is itself, which equals nothing else."""
    return {
        field.attname: _stored(field, instance.__dict__[field.attname])
        for field in fields
        if field.attname in instance.__dict__
    }


def _stored(field: Any, value: Any) -> Any:
    return value if hasattr(value, "resolve_expression") else deepcopy(field.get_prep_value(value))
