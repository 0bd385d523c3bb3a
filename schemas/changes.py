"""What has changed between two exports of catalogues (JSON Schema), and which changes break receivers. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dispatcher.schemas.documents import DEFS

JSON = Mapping[str, Any]


class EventChange(NamedTuple):
    """A change of an event. `path`: where in its payload; empty: of the event itself."""

    event: str
    path: str
    text: str
    breaks: bool
    """Whether a receiver that relied on what was documented may fail now."""

    def __str__(self) -> str:
        at = f" {self.path}:" if self.path else ""
        return f"{'BREAKS ' if self.breaks else '       '}{self.event}:{at} {self.text}"


def changes(old: JSON, new: JSON) -> list[EventChange]:
    """What receivers may notice, event by event. Both are documents of `documents.json_schema`."""
    before, after = _events(old), _events(new)
    found = [EventChange(name, "", "removed", True) for name in before if name not in after]
    found += [EventChange(name, "", "added", False) for name in after if name not in before]
    for name in before:
        if name in after:
            compare = _Comparison(name, old["$defs"], new["$defs"])
            found += compare.schemas(before[name], after[name], "")
    return found


def version_changes(name: str, old: JSON, new: JSON) -> list[EventChange]:
    """The same between two versions of an event's body, of which these are the complete JSON Schemas."""
    return list(_Comparison(name, old["$defs"], new["$defs"]).schemas(old, new, ""))


def _events(document: JSON) -> dict[str, Any]:
    """Each version of an event is one of its own."""
    versions = [one for event in document["oneOf"] for one in event.get("anyOf", [event])]
    names = [one["$ref"].removeprefix(DEFS) for one in versions]
    return {name: document["$defs"][name] for name in names}


class _Comparison:
    """Of one event's payload."""

    def __init__(self, event: str, old_types: JSON, new_types: JSON) -> None:
        self._event = event
        self._old_types = old_types
        self._new_types = new_types
        self._seen: set[tuple[str, str]] = set()

    def schemas(self, old: JSON, new: JSON, path: str) -> Iterator[EventChange]:
        """All that differs at that place and within."""
        pair = (str(old.get("$ref")), str(new.get("$ref")))
        if pair in self._seen and pair != ("None", "None"):  # a type within itself
            return
        self._seen.add(pair)
        old, new = _plain(old, self._old_types), _plain(new, self._new_types)
        yield from self._value(old, new, path)
        yield from self._attributes(old, new, path)
        if "items" in old and "items" in new:
            yield from self.schemas(old["items"], new["items"], f"{path}[]")
        self._seen.discard(pair)

    def _change(self, path: str, text: str, *, breaks: bool = True) -> EventChange:
        return EventChange(self._event, path.removeprefix("."), text, breaks)

    def _value(self, old: JSON, new: JSON, path: str) -> Iterator[EventChange]:
        more = new["types"] - old["types"] - ({"integer"} if "number" in old["types"] else set())
        if more == {"null"}:
            yield self._change(path, "may be null now")
        elif more and old["types"]:
            yield self._change(path, f"is {_words(new['types'])} now, was {_words(old['types'])}")
        elif old.get("format") != new.get("format"):
            yield self._change(path, f"has the format {new.get('format')} now, had {old.get('format')}")
        if "enum" in old and (values := [value for value in new.get("enum", ["any"]) if value not in old["enum"]]):
            yield self._change(path, f"may be {_words(values)} now")
        if old.get("const") != new.get("const"):
            yield self._change(path, f"is {new.get('const')!r} now, was {old.get('const')!r}")

    def _attributes(self, old: JSON, new: JSON, path: str) -> Iterator[EventChange]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            at = f"{path}.{name}"
            if name not in after:
                yield self._change(at, "removed")
                continue
            if name in old.get("required", ()) and name not in new.get("required", ()):
                yield self._change(at, "may be absent now")
            yield from self.schemas(before[name], after[name], at)
        for name in after:
            if name not in before:
                yield self._change(f"{path}.{name}", "added", breaks=False)


def _plain(schema: JSON, types: JSON) -> dict[str, Any]:
    """With references and alternatives put in their place; `types`: what it may be, null too."""
    one = dict(schema)
    kinds = set(one["type"]) if isinstance(one.get("type"), list) else {one["type"]} if "type" in one else set()
    if "$ref" in one:
        one = _plain(types[one.pop("$ref").removeprefix(DEFS)], types) | one
        kinds |= one["types"]
    for part in (*one.get("allOf", ()), *one.get("anyOf", ()), *one.get("oneOf", ())):
        inner = _plain(part, types)
        kinds |= inner["types"]
        one = inner | one
    return one | {"types": kinds}


def _words(values: Any) -> str:
    return " or ".join(sorted(map(str, values))) or "anything"
