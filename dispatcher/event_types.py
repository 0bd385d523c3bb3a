"""Event types as programs of the company store them: put, deprecated, deleted. All front doors use this.

What receivers rely on stays: a version whose body changes so that they would notice is refused, and a new version must
say how its bodies become those of the version before, unless they are such bodies already.
"""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from marshmallow import ValidationError

from dispatcher import clock
from dispatcher.errors import EventTypeConflict, EventTypeNotFound, InvalidEventType
from dispatcher.schemas import InvalidEvent, active, json_patch
from dispatcher.schemas.api.event_type import NewEventTypeSchema
from dispatcher.schemas.catalogue import EventType, problem_of_name
from dispatcher.schemas.changes import EventChange, version_changes
from dispatcher.schemas.errors import DowngradeFailed, texts_by_field
from dispatcher.schemas.located import SchemaPart, problem_of_path
from dispatcher.schemas.stored import StoredType, event_type
from dispatcher.storage.admin import audit, event_types
from dispatcher.storage.engine import Connection, Storage

SHOWN = ("description", "group", "resource", "resource_id", "supersedes", "deprecated_at", "example", "downgrade",
         "subjects", "payload_retention_days")  # fmt: skip
"""What an event type has besides its schema."""
_BREAKING_SHOWN = 20
_OF_A_VERSION = re.compile(r".+\.v[0-9]+")

_schema = NewEventTypeSchema()


def put(storage: Storage, name: str, attributes: Mapping[str, Any], *, force: bool = False) -> tuple[StoredType, bool]:
    """The type with these attributes, and whether that version is new; what is not given stays, or has its default.

    Where nothing changes, no process is notified. Raises InvalidEventType, with all that would break receivers unless
    `force`; and EventTypeConflict where a catalogue has an event of that name.
    """
    checked = checked_attributes(name, attributes)

    def store(connection: Connection) -> tuple[StoredType, bool]:
        event_types.lock(connection)
        versions = event_types.versions(connection, name)
        new = changed(versions, name, checked, force=force)
        before = next((one for one in versions if one.version == new.version), None)
        if new != before:
            event_types.store(connection, new)
            action = "event_type.created" if before is None else "event_type.updated"
            audit.record(connection, action, name, version=new.version, attributes=sorted(checked))
        stored = event_types.versions(connection, name)
        return next(one for one in stored if one.version == new.version), before is None

    return storage.transact(store)


def delete(storage: Storage, name: str) -> None:
    """Ends the type: it can neither be emitted nor subscribed to. What was emitted before is still delivered.

    Raises EventTypeNotFound; EventTypeConflict where webhooks subscribe to it, or it is an event of a catalogue.
    """

    def end(connection: Connection) -> None:
        event_types.lock(connection)
        if count := event_types.subscribed(connection, name):
            raise EventTypeConflict(f"{count:,} webhooks subscribe to {name}; deprecate it, or change them first")
        if not any(one.deleted_at is None for one in event_types.versions(connection, name)):
            raise EventTypeNotFound(name)
        event_types.delete(connection, name)
        audit.record(connection, "event_type.deleted", name)

    _check_not_loaded(name)
    storage.transact(end)


def checked_attributes(name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes as they are stored; raises InvalidEventType, and EventTypeConflict."""
    if problem := problem_of_name(name):
        raise InvalidEventType({"name": [problem]})
    if _OF_A_VERSION.fullmatch(name):
        raise InvalidEventType({"name": ["must not end as a version does, such as .v2"]})
    _check_not_loaded(name)
    try:
        checked: dict[str, Any] = _schema.load(dict(attributes))
    except ValidationError as error:
        raise InvalidEventType(texts_by_field(error)) from None
    return checked


def changed(
    versions: Sequence[StoredType], name: str, attributes: Mapping[str, Any], *, force: bool = False
) -> StoredType:
    """The version that `put` would store beside those there are, whole and in order; raises InvalidEventType."""
    newest = versions[-1] if versions else None
    number = attributes.get("version", newest.version if newest else 1)
    most = (newest.version if newest else 0) + 1
    if number > most:
        raise InvalidEventType({"version": [f"must be from 1 to {most}"]})
    before = next((one for one in versions if one.version == number), None)
    new = _with(before or _new(name, number, newest), attributes)
    if not new.schema:
        raise InvalidEventType({"schema": ["can't be blank"]})
    after = [*(one for one in versions if one.version != number), new]
    chain = event_type(tuple(sorted(after, key=lambda one: one.version)), "standard")
    if not force:
        _check_changes(chain.at(number), new, before)
    _check_body(chain.at(number))
    _check_patch(chain.at(number), new)
    _check_downgrades(chain)
    return new


def differences(before: StoredType | None, after: StoredType) -> list[EventChange]:
    """What receivers may notice of a change of one version."""
    if before is None:
        return []
    return version_changes(after.name, _alone(before).schema, _alone(after).schema)


def _alone(one: StoredType) -> EventType:
    """It without the versions before."""
    return event_type((one,), "standard")


def _check_not_loaded(name: str) -> None:
    known = active().events.get(name)
    if known is not None and name not in active().stored.events.keys() - active().hidden:
        raise EventTypeConflict(f"{name} is an event of the catalogue {known.catalogue}, which is defined in code")


def _new(name: str, version: int, newest: StoredType | None) -> StoredType:
    """With what a new version takes from the one before."""
    now = clock.now()
    return StoredType(
        name=name,
        version=version,
        resource=newest.resource if newest else None,
        resource_id=newest.resource_id if newest else "id",
        schema="",
        example=None,
        description=newest.description if newest else "",
        group=newest.group if newest else "",
        supersedes=newest.supersedes if newest else False,
        deprecated_at=None,
        downgrade=None,
        subjects=newest.subjects if newest else (),
        payload_retention_days=newest.payload_retention_days if newest else None,
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )


def _with(one: StoredType, attributes: Mapping[str, Any]) -> StoredType:
    """JSON is written in one way, so that the same is the same text."""
    values = {name: value for name, value in attributes.items() if name not in ("version", "deprecated")}
    if "subjects" in values:
        values["subjects"] = tuple(values["subjects"])
    for name in ("schema", "example", "downgrade"):
        if values.get(name) is not None:
            values[name] = _json(name, values[name])
    if "deprecated" in attributes:
        values["deprecated_at"] = (one.deprecated_at or clock.now()) if attributes["deprecated"] else None
    return replace(one, deleted_at=None, **values)


def _json(name: str, value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_date)
        text.encode()
    except (TypeError, ValueError, RecursionError):  # an infinite number, half a surrogate pair, what has no end
        raise InvalidEventType({name: ["holds what is no JSON"]}) from None
    return text


def _date(value: object) -> str:
    """YAML has dates, which JSON writes as text."""
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError


def _check_body(event: EventType) -> None:
    """The schema has what the event is about, and the example can be emitted."""
    if event.about.id is None:
        if event.supersedes:
            raise InvalidEventType({"supersedes": ["needs `resource`: what would be superseded?"]})
    elif event.resource not in event.schema["properties"]:
        raise InvalidEventType({"resource": ["must be a key of the body, among `properties` of the schema"]})
    if any(one.about != event.about for one in event.versions.values()):
        raise InvalidEventType({"resource": ["must be the same in all versions"]})
    whole = [SchemaPart(event.schema, event.schema)]
    if texts := [f"{path}: {text}" for path in event.subjects if (text := problem_of_path(path, whole))]:
        raise InvalidEventType({"subjects": texts})
    try:
        event.render(event.example, "UTC")
    except InvalidEvent as error:
        whose = "" if event.declared_example else "is needed, as one that is made up of the schema is not valid: "
        raise InvalidEventType({"example": [f"{whose}{path}: {text}" for path, text in error.problems]}) from None


def _check_changes(event: EventType, new: StoredType, before: StoredType | None) -> None:
    if before is not None:
        older, advice = _alone(before), f"store it as version {new.version + 1}"
    elif event.previous is not None and new.downgrade is None:
        older, advice = event.previous, f"give a `downgrade` to version {new.version - 1}"
    else:
        return
    all_changes = version_changes(event.name, older.schema, event.schema)
    if texts := [f"{one.path}: {one.text}" for one in all_changes if one.breaks or not (before or one.fits)]:
        raise InvalidEventType({"schema": [f"breaks receivers; {advice}", *texts[:_BREAKING_SHOWN]]})


def _check_patch(event: EventType, new: StoredType) -> None:
    """What real bodies lack is skipped, but of the example a patch finds all that it names: else it has a mistake."""
    if event.previous is None or new.downgrade is None:
        return
    try:
        json_patch.apply(json.loads(new.downgrade), copy.deepcopy(event.example), is_strict=True)
    except json_patch.PatchFailed as error:
        raise InvalidEventType({"downgrade": [f"the example: {error}"]}) from None


def _check_downgrades(newest: EventType) -> None:
    """By the examples: a new version must not break what older webhooks get of the others."""
    for version in range(2, newest.version + 1):
        try:
            newest.at(version).check_example()
        except DowngradeFailed as error:
            raise InvalidEventType({"downgrade": [f"the example: {error}"]}) from None
