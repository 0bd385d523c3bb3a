"""What a model emits when its rows change: the part that Django's and SQLAlchemy's models share."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from dispatcher import NewEvent, emit_many, log
from dispatcher.errors import AccountNotFound, InvalidEventAttribute
from dispatcher.schemas import InvalidEvent, active

logger = logging.getLogger(__name__)

Action = Literal["created", "updated", "deleted"]
OnInvalid = Literal["raise", "log"]
Changes = Mapping[str, tuple[Any, Any]]
"""Attribute → its value before (None where that is not known) and after."""
Name = str | None | Callable[[Any, Changes], str | None]
"""An event's name, in which `{resource}` is replaced; None for none; or a function of the instance and its changes."""


class Change(NamedTuple):
    """What happened to one instance; `changes` is empty unless it was updated."""

    instance: Any
    action: Action
    changes: Changes


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEvents:
    """Which events a model emits.

    `resource` is the key of the events' body, such as `invoice`; `account` a slug, or a function of the instance.
    `fields` are the attributes whose change is an update (default: all); many-to-many ones only if they are named.
    `body` makes the event's body of an instance (default: the instance under `resource`).
    `on_invalid`: "raise" what is wrong with the event or its account, so that the change fails too, or "log" it.
    """

    resource: str
    account: str | Callable[[Any], str]
    created: Name = "{resource}_created"
    updated: Name = "{resource}_updated"
    deleted: Name = "{resource}_removed"
    fields: tuple[str, ...] | None = None
    body: Callable[[Any], Mapping[str, Any]] | None = None
    on_invalid: OnInvalid = "raise"
    names: Mapping[Action, Name] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names: dict[Action, Name] = {"created": self.created, "updated": self.updated, "deleted": self.deleted}
        object.__setattr__(self, "names", {action: self._named(name) for action, name in names.items()})

    def _named(self, name: Name) -> Name:
        return name.format(resource=self.resource) if isinstance(name, str) else name

    def problems(self) -> list[str]:
        """What is wrong with it: events that the catalogue does not have, or that hold another resource."""
        texts, events = [], active().events
        for action, name in self.names.items():
            if isinstance(name, str) and name not in events:
                texts.append(f"{action}: the catalogue has no event {name!r}; give its name, a function, or None")
            elif isinstance(name, str) and self.body is None and len(events[name].keys) > 1:
                keys = ", ".join(events[name].keys)
                texts.append(f"{action}: {name!r} needs a `body` with {keys}")
        if self.on_invalid not in ("raise", "log"):
            texts.append(f"on_invalid: {self.on_invalid!r} is neither 'raise' nor 'log'")
        return texts

    def emit(self, changed: Iterable[Change], connection: object) -> None:
        """Emits the events of the changes, in the connection's transaction: one statement for each account."""
        events = sorted(self._events(changed), key=itemgetter(0))  # stable: an account's stay in order
        for account, of_account in groupby(events, itemgetter(0)):
            self._emit(account, [event for _, event in of_account], connection)

    def _events(self, changed: Iterable[Change]) -> Iterable[tuple[str, NewEvent]]:
        for instance, action, changes in changed:
            name = self.names[action]
            if callable(name):
                name = name(instance, changes)
            if name is not None:
                body = {self.resource: instance} if self.body is None else self.body(instance)
                account = self.account if isinstance(self.account, str) else self.account(instance)
                yield account, NewEvent(name=name, body=body)

    def _emit(self, account: str, events: list[NewEvent], connection: object) -> None:
        try:
            emit_many(events, account=account, connection=connection)
        except (InvalidEvent, InvalidEventAttribute, AccountNotFound) as error:
            if self.on_invalid == "raise":
                raise
            if len(events) > 1:  # the others are fine, perhaps
                for event in events:
                    self._emit(account, [event], connection)
                return
            logger.error(log.line("model_event.invalid", name=events[0].name, account=account, error=error))
