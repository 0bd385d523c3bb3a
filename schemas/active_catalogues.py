"""The catalogues that are active in this process, as one: those that DISPATCHER_CATALOGUE names, by default API v3's.

They are loaded when an event is first asked for, never at import.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from types import MappingProxyType

from dispatcher.environment import variable
from dispatcher.errors import InvalidSetting
from dispatcher.schemas.catalogue import OPERATIONAL_EVENTS, Catalogue, EventType
from dispatcher.schemas.envelopes import Envelope
from dispatcher.schemas.errors import InvalidCatalogue, InvalidEvent
from dispatcher.schemas.wildcards import as_pattern, is_wildcard
from dispatcher.schemas.wire.choices import did_you_mean

GROUP = "dispatcher.catalogues"
"""Of entry points."""
DEFAULT = "api_v3"
_VARIABLE = "DISPATCHER_CATALOGUE"


class Catalogues:
    """What several catalogues have together; never changed, so what is made of them is made once."""

    def __init__(self, *catalogues: Catalogue) -> None:
        """Raises InvalidCatalogue where two have an event of the same name, or one that of a version of another."""
        events: dict[str, EventType] = {}
        for event in (event for catalogue in catalogues for event in catalogue.events.values()):
            if event.name in events:
                both = f"{events[event.name].catalogue} and {event.catalogue}"
                raise InvalidCatalogue(f"the catalogues {both} both have an event {event.name}")
            events[event.name] = event
        for one in (one for event in events.values() for one in event.versions.values() if one.version > 1):
            if one.qualified_name in events:
                raise InvalidCatalogue(f"{one.qualified_name} is an event, and version {one.version} of {one.name}")
        self.catalogues = catalogues
        self.events: Mapping[str, EventType] = MappingProxyType(events)

    def event(self, name: str) -> EventType:
        """The type of the event `name`; raises InvalidEvent if no catalogue has it."""
        event = self.events.get(name)
        if event is None:
            raise InvalidEvent(name, [("", self.unknown(name))])
        return event

    def unknown(self, name: str) -> str:
        """What is wrong with the name of an event that no catalogue has."""
        return f"is not an event of the catalogue; {did_you_mean(str(name), self.events)}"

    def envelope(self, name: str) -> Envelope:
        """The event's; of a ping, the dispatcher's own and one that is not known here the first catalogue's."""
        event = self.events.get(name)
        return self.catalogues[0].envelope if event is None else event.envelope

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
        """Event → where its resource's id stands: the key of the body, and the attribute."""
        return {event.name: (event.resource, event.about.id) for event in self.events.values() if event.about.id}


_active: Catalogues | None = None


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


def _load(names: Sequence[str]) -> Catalogues:
    try:
        return Catalogues(*(_find(name) for name in dict.fromkeys(names)))
    except InvalidCatalogue as error:
        raise InvalidSetting(_VARIABLE, str(error)) from error


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
