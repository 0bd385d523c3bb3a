"""Paths of the attributes of events' bodies, as a webhook's owner gives them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, fields

from dispatcher.schemas.active_catalogues import active
from dispatcher.schemas.errors import plain
from dispatcher.schemas.located import bodies, problem_of_path

_PATH = re.compile(r"(?=.{1,200}\Z)[^\s.\x00-\x1f\ud800-\udfff]+(\.[^\s.\x00-\x1f\ud800-\udfff]+){0,11}")
_LIMIT, _SHOWN = 100, 10
_IS_NO_PATH = "must be an array of paths such as invoice.lines.name"


class FieldPaths(fields.List[Any]):
    """At most 100; one that is repeated counts once."""

    def __init__(self, **options: Any) -> None:
        messages: dict[str, Any] = {"invalid": _IS_NO_PATH, "null": _IS_NO_PATH}
        path = fields.String(validate=_check_path, error_messages=messages)
        super().__init__(path, validate=_check_count, error_messages=messages, **options)

    def _deserialize(self, *args: Any, **kwargs: Any) -> list[Any]:
        return list(dict.fromkeys(super()._deserialize(*args, **kwargs)))


def problems_of_paths(
    subscriptions: Iterable[str], pins: Mapping[str, int], only: Sequence[str], excluded: Sequence[str]
) -> dict[str, list[str]]:
    """Attribute of the webhook → what is wrong with its paths, for the events that it subscribes to as it gets them."""
    schemas, ids = bodies(subscriptions, pins), _ids(subscriptions)
    problems = {
        "only_fields": [f"{path}: {text}" for path in only if (text := problem_of_path(path, schemas))],
        "excluded_fields": [
            f"{path}: {text}"
            for path in excluded
            if (
                text := "holds what the event is about, which is always sent"
                if path in ids
                else problem_of_path(path, schemas)
            )
        ],
    }
    return {name: texts[:_SHOWN] for name, texts in problems.items() if texts}


def _ids(subscriptions: Iterable[str]) -> set[str]:
    """Where the ids of resources stand, and what holds them."""
    places = active().resource_ids
    pairs = [places[name] for name in active().subscribed(subscriptions) if name in places]
    return {path for key, id_ in pairs for path in (key, f"{key}.{id_}")}


def _check_path(path: str) -> None:
    if not _PATH.fullmatch(path):
        raise ValidationError(f"{plain(path)}: {_IS_NO_PATH}")


def _check_count(paths: Sequence[str]) -> None:
    if len(paths) > _LIMIT:
        raise ValidationError(f"must have at most {_LIMIT} paths")
