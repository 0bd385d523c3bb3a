"""The catalogues that are active in this process, as one: those that DISPATCHER_CATALOGUE names, by default API v3's.

They are loaded when an event is first asked for, never at import. Beside them are the event types that are stored in
Postgres: whoever reads those hands them over (`use_stored`), and what is active is replaced as a whole.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from types import MappingProxyType

from dispatcher.environment import variable
from dispatcher.errors import InvalidSetting
from dispatcher.schemas.catalogue import FIRST, OPERATIONAL_EVENTS, Catalogue, EventType
from dispatcher.schemas.envelopes import ENVELOPES, Envelope
from dispatcher.schemas.errors import DowngradeFailed, InvalidCatalogue, InvalidEvent
from dispatcher.schemas.stored import StoredCatalogue, StoredType
from dispatcher.schemas.wildcards import as_pattern, is_wildcard
from dispatcher.schemas.wire.choices import did_you_mean

GROUP = "dispatcher.catalogues"
"""Of entry points."""
DEFAULT, NONE = "api_v3", "none"
"""Catalogues that are not imported: API v3's, and none at all, where all events are stored ones."""
_VARIABLE, _ENVELOPE = "DISPATCHER_CATALOGUE", "DISPATCHER_EVENT_TYPES_ENVELOPE"


class Catalogues:
    """What several catalogues have together; never changed, so what is derived from them is computed once."""

    def __init__(self, *catalogues: Catalogue, stored: StoredCatalogue | None = None) -> None:
        """Raises InvalidCatalogue where two have an event of the same name, or one that of a version of another.

        A stored event gives way to one of a catalogue.
        """
        events: dict[str, EventType] = {}
        for event in (event for catalogue in catalogues for event in catalogue.events.values()):
            if event.name in events:
                both = f"{events[event.name].catalogue} and {event.catalogue}"
                raise InvalidCatalogue(f"the catalogues {both} both have an event {event.name}")
            events[event.name] = event
        for one in (one for event in events.values() for one in event.versions.values() if one.version > 1):
            if one.qualified_name in events:
                raise InvalidCatalogue(f"{one.qualified_name} is an event, and version {one.version} of {one.name}")
        self.loaded = catalogues
        """Those of the setting."""
        self.stored = stored or StoredCatalogue((), _stored_envelope())
        has_stored = bool(self.stored.newest) or not catalogues
        self.catalogues: Sequence[Catalogue | StoredCatalogue] = (*catalogues, *([self.stored] if has_stored else []))
        self.hidden = self.stored.events.keys() & events.keys()
        """Stored events that gave way."""
        self.events: Mapping[str, EventType] = MappingProxyType(events | {**self.stored.events, **events})
        self.versions: Mapping[str, EventType] = MappingProxyType(
            {one.qualified_name: one for event in self.events.values() for one in event.versions.values()}
        )
        """Every version of every event by its qualified name, which stays: `order.shipped` is its first version."""

    def event(self, name: str) -> EventType:
        """The type of the event `name`; raises InvalidEvent if no catalogue has it."""
        event = self.events.get(name)
        if event is None:
            raise InvalidEvent(name, [("", self.unknown(name))])
        return event

    def downgraded(self, name: str, body_json: str, version: int, older: int, zone: str) -> str:
        """An event's body of that version as the older one has it (`EventType.downgraded`); raises DowngradeFailed."""
        event = self.events.get(name) or self.stored.deleted(name)
        if event is None or version not in event.versions:
            raise DowngradeFailed(name, version, older, "the catalogue here does not have it")
        return event.versions[version].downgraded(body_json, older, zone)

    def unknown(self, name: str) -> str:
        """What is wrong with the name of an event that no catalogue has."""
        return f"is not an event of the catalogue; {did_you_mean(str(name), self.events)}"

    def envelope(self, name: str) -> Envelope:
        """The event's; of a ping, the dispatcher's own and one that is not known here the first catalogue's."""
        event = self.events.get(name)
        if event is not None:
            return event.envelope
        return (self.stored if name in self.stored.newest else self.catalogues[0]).envelope

    @property
    def time_zone(self) -> str:
        """That of accounts created without one: the first catalogue's."""
        return self.catalogues[0].time_zone

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every event that a webhook can subscribe to."""
        return (*self.events, *sorted(OPERATIONAL_EVENTS))

    def subscribed(self, subscriptions: Iterable[str]) -> list[str]:
        """The names that subscriptions by name and by wildcard stand for today, each once."""
        names: dict[str, None] = {}
        for one in subscriptions:
            names |= dict.fromkeys(filter(as_pattern([one]).fullmatch, self.events) if is_wildcard(one) else [one])
        return list(names)

    @cached_property
    def superseding(self) -> tuple[str, ...]:
        """Events of which a newer one makes a pending one superfluous."""
        return tuple(name for name, event in self.events.items() if event.supersedes)

    @cached_property
    def resource_ids(self) -> Mapping[str, tuple[str, str]]:
        """Event → where its resource's id stands: the key of the body, and the attribute.

        Also of types that were deleted, of which events may still be pending.
        """
        deleted = (self.stored.deleted(name) for name in self.stored.newest if name not in self.events)
        events = (*self.events.values(), *filter(None, deleted))
        return {event.name: (event.resource, event.about.id) for event in events if event.about.id}


_active: Catalogues | None = None
_ask: Callable[[str], None] | None = None


def active() -> Catalogues:
    """Those of this process; raises InvalidSetting where one cannot be found or two have the same event."""
    global _active
    if _active is None:
        _active = _load([name.strip() for name in (variable(_VARIABLE) or DEFAULT).split(",")])
    return _active


def use(catalogues: Catalogues | None) -> None:
    """Makes these active from now on, in place of those of the setting; None: those of the setting again."""
    global _active
    _active = catalogues


def use_stored(types: Iterable[StoredType], revision: int) -> Catalogues:
    """Makes these active beside those of the setting, in place of the stored ones before."""
    catalogues = Catalogues(*active().loaded, stored=StoredCatalogue(types, _stored_envelope(), revision))
    use(catalogues)
    return catalogues


def use_lookup(ask: Callable[[str], None] | None) -> None:
    """`ask` is called with the name of an event that is unknown here; it makes the types active that are stored now."""
    global _ask
    _ask = ask


def active_with(name: str, version: int = FIRST) -> Catalogues:
    """The active ones; where the event, or its version, is unknown, those stored a moment ago are made active first.

    May ask Postgres: not for an event loop.
    """
    event = active().events.get(name)
    if _ask is not None and (event is None or event.version < version) and name not in OPERATIONAL_EVENTS:
        _ask(name)
    return active()


def _load(names: Sequence[str]) -> Catalogues:
    try:
        return Catalogues(*(_find(name) for name in dict.fromkeys(names) if name != NONE))
    except InvalidCatalogue as error:
        raise InvalidSetting(_VARIABLE, str(error)) from error


def _stored_envelope() -> str:
    name = variable(_ENVELOPE) or "standard"
    if name not in ENVELOPES:
        raise InvalidSetting(_ENVELOPE, f"{name!r} is not among {', '.join(ENVELOPES)}")
    return name


def _find(name: str) -> Catalogue:
    if name == DEFAULT:
        from dispatcher.schemas.api_v3 import catalogue  # noqa: PLC0415 -- who has another one does not need it

        return catalogue
    module, colon, attribute = name.partition(":")
    loaded = _attribute(module, attribute) if colon else _entry_point(name)
    if not isinstance(loaded, Catalogue):
        raise InvalidCatalogue(f"{name} is not a Catalogue")
    return loaded


def _entry_point(name: str) -> object:
    from importlib.metadata import entry_points  # noqa: PLC0415 -- 10 ms of CPU, which API v3's emits need not wait for

    for one in entry_points(group=GROUP, name=name):
        return one.load()
    known = sorted({DEFAULT, *(one.name for one in entry_points(group=GROUP))})
    raise InvalidCatalogue(f"there is no catalogue {name!r}; installed: {', '.join(known)}; or give module:attribute")


def _attribute(module: str, name: str) -> object:
    """`module:name`; the module may lie in the folder that the process was started in, as Celery's and uvicorn's do."""
    from pathlib import Path  # noqa: PLC0415 -- API v3's emits do without it

    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise InvalidCatalogue(f"{module}:{name} cannot be loaded: {error}") from error
