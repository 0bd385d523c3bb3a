"""The fields of a body that a webhook is to get: only these, or all but those. What is kept stays as it was written.

A path such as `invoice.lines.name` leads through objects, and through each item of an array.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from dispatcher.schemas.active_catalogues import active
from dispatcher.schemas.catalogue import OPERATIONAL_EVENTS

Paths = tuple[str, ...]
Tree = dict[str, Any]
"""Attribute → the tree of those within it; an empty one stands for all of it."""

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def select_fields(event_name: str, body_json: str, only: Paths, excluded: Paths) -> str:
    """The JSON text of the body with those of the paths `only`, if there are any, and without those `excluded`.

    The id of what the event is about always stays: a wildcard may mean an event that came after its webhook was
    checked. The dispatcher's own events are left as they are. Raises ValueError where the text holds a lone surrogate.
    """
    if not (only or excluded) or event_name in OPERATIONAL_EVENTS:
        return body_json
    body = msgspec.Raw(body_json.strip().encode())
    place = active().resource_ids.get(event_name)
    if only:
        body = _only(body, _tree((*only, ".".join(place)) if place else only)) or msgspec.Raw(b"{}")
    if place and (kept := {place[0], ".".join(place)}.intersection(excluded)):
        if place[0] in kept:
            body = _raw({name: one for name, one in _id_alone(body, *place).items() if one is not None})
        excluded = tuple(path for path in excluded if path not in kept)
    return bytes(_without(body, _tree(excluded)) if excluded else body).decode()


def select_id(event_name: str, body_json: str) -> str:
    """The JSON text of a body with nothing but the id of what the event is about; raises as above."""
    place = active().resource_ids.get(event_name)
    return "{}" if place is None else select_fields(event_name, body_json, (".".join(place),), ())


@lru_cache(maxsize=10_000)
def _tree(paths: Paths) -> Tree:
    root: Tree = {}
    for path in sorted(paths, key=len, reverse=True):  # the shorter one comes last, and stands for all below it
        *parents, last = path.split(".")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = {}
    return root


def _only(value: msgspec.Raw, tree: Tree) -> msgspec.Raw | None:
    """None: there is nothing of it; what is null where something might be stays."""
    if not tree:
        return value
    match bytes(value)[:1]:
        case b"{":
            inner = {name: _only(one, tree[name]) for name, one in _decode_object(value).items() if name in tree}
            return _raw({name: one for name, one in inner.items() if one is not None})
        case b"[":
            return _raw([one for one in (_only(item, tree) for item in _decode_array(value)) if one is not None])
        case b"n":
            return value
    return None


def _id_alone(body: msgspec.Raw, key: str, id_: str) -> dict[str, msgspec.Raw | None]:
    """The attributes of a body, of `key` with the id alone."""
    return {name: _only(one, {id_: {}}) if name == key else one for name, one in _decode_object(body).items()}


def _without(value: msgspec.Raw, tree: Tree) -> msgspec.Raw:
    match bytes(value)[:1]:
        case b"{":
            kept = {name: one for name, one in _decode_object(value).items() if tree.get(name) != {}}
            return _raw({name: _without(one, tree[name]) if name in tree else one for name, one in kept.items()})
        case b"[":
            return _raw([_without(item, tree) for item in _decode_array(value)])
    return value


def _raw(value: dict[str, msgspec.Raw] | Sequence[msgspec.Raw]) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))
