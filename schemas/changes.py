"""What has changed between two exports of catalogues (JSON Schema), and which changes break receivers. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
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
    fits: bool = True
    """False: no receiver need notice it, but the old schema refuses bodies that make use of it."""

    def __str__(self) -> str:
        at = f" {self.path}:" if self.path else ""
        return f"{'BREAKS ' if self.breaks else '       '}{self.event}:{at} {self.text}"


def changes(old: JSON, new: JSON) -> list[EventChange]:
    """What receivers may notice, event by event. Both are documents of `documents.json_schema`."""
    before, after = _events(old), _events(new)
    notices = [EventChange(name, "", "removed", True) for name in before if name not in after]
    notices += [EventChange(name, "", "added", False) for name in after if name not in before]
    for name in before:
        if name in after:
            compare = _Comparison(name, old["$defs"], new["$defs"])
            notices += compare.schemas(before[name], after[name], "")
    return notices


def version_changes(name: str, old: JSON, new: JSON) -> list[EventChange]:
    """The same between two versions of an event's body, of which these are the complete JSON Schemas."""
    return list(_Comparison(name, old["$defs"], new["$defs"]).schemas(old, new, ""))


def _events(document: JSON) -> dict[str, Any]:
    """Each version of an event is one of its own."""
    versions = [one for event in document["oneOf"] for one in event.get("anyOf", [event])]
    names = [one["$ref"].removeprefix(DEFS) for one in versions]
    return {name: document["$defs"][name] for name in names}


class _Comparison:
    """Of one event's payload. Two parts of the documents are compared once, at the first place where they stand."""

    def __init__(self, event: str, old_types: JSON, new_types: JSON) -> None:
        self._event = event
        self._old_types = _Types(old_types)
        self._new_types = _Types(new_types)
        self._seen: set[tuple[int, int]] = set()

    def schemas(self, old_part: Any, new_part: Any, path: str) -> Iterator[EventChange]:
        """All that differs at that place and within."""
        pair = (id(old_part), id(new_part))
        if pair in self._seen:  # types within themselves would have no end, and those within many others hardly one
            return
        self._seen.add(pair)
        old, new = self._old_types.plain(old_part), self._new_types.plain(new_part)
        yield from self._value(old, new, path)
        yield from self._rules(old, new, path)
        for word in ("properties", "patternProperties"):
            yield from self._attributes(old, new, word, path)
        for word, place in (("additionalProperties", ".*"), ("items", "[]")):
            if isinstance(old.get(word), Mapping):
                yield from self.schemas(old[word], new.get(word, _ANYTHING), f"{path}{place}")
        if old.get("additionalProperties") is False and new.get("additionalProperties") is not False:
            yield self._change(path, "may have other attributes now", breaks=False, fits=False)

    def _change(self, path: str, text: str, *, breaks: bool = True, fits: bool = True) -> EventChange:
        return EventChange(self._event, path.removeprefix("."), text, breaks, fits)

    def _value(self, old: JSON, new: JSON, path: str) -> Iterator[EventChange]:
        more = new["types"] - old["types"] - ({"integer"} if "number" in old["types"] else set())
        before, after = _values(old), _values(new)
        if old["types"] and not new["types"] and after is None:
            yield self._change(path, f"may be anything now, was {_words(old['types'])}")
        elif more == {"null"} and old["types"]:
            yield self._change(path, "may be null now")
        elif more and old["types"]:
            yield self._change(path, f"is {_words(new['types'])} now, was {_words(old['types'])}")
        elif old.get("format") != new.get("format"):
            yield self._change(path, f"has the format {new.get('format')} now, had {old.get('format')}")
        if before is not None and (values := [one for one in after or ["any"] if one not in before]):
            yield self._change(path, f"may be {_words(values)} now")

    def _rules(self, old: JSON, new: JSON, path: str) -> Iterator[EventChange]:
        """Those that values kept so far, and need not keep any more: a receiver may have relied on them."""
        for word, before in old.items():
            after = new.get(word)
            if word in _AT_LEAST or word in _AT_MOST:
                is_kept = after is not None and (after >= before if word in _AT_LEAST else after <= before)
            elif word == "multipleOf":
                is_kept = after is not None and (after == before or after % before == 0)
            else:
                is_kept = word not in _AS_THEY_WERE or before in (after, False)
            if not is_kept:
                now = f"no {word}" if after is None else f"the {word} {after}" if word in _SHORT else f"another {word}"
                yield self._change(path, f"has {now} now" + (f", had {before}" if word in _SHORT else ""))

    def _attributes(self, old: JSON, new: JSON, word: str, path: str) -> Iterator[EventChange]:
        before, after = _present(old, word), _present(new, word)
        for name in before:
            at = f"{path}.{name}"
            if name not in after:
                yield self._change(at, "removed")
                continue
            if name in old.get("required", ()) and name not in new.get("required", ()):
                yield self._change(at, "may be absent now")
            yield from self.schemas(before[name], after[name], at)
        fits = old.get("additionalProperties") is not False
        for name in after:
            if name not in before:
                yield self._change(f"{path}.{name}", "added", breaks=False, fits=fits)


_ANYTHING: JSON = {}
_NOTHING: Sequence[Any] = (False, {"not": {}})
_AT_LEAST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"})
_AT_MOST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"})
_SHORT = _AT_LEAST | _AT_MOST | {"multipleOf", "pattern"}
"""Rules that are shown as they are."""
_AS_THEY_WERE = frozenset({"pattern", "uniqueItems", "not", "if", "then", "else", "contains", "prefixItems",
                           "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties",
                           "unevaluatedItems", "contentEncoding", "contentMediaType", "contentSchema"})  # fmt: skip
"""Of which another one may allow more: nobody can tell in general."""


class _Types:
    """The types of one document."""

    def __init__(self, types: JSON) -> None:
        self._types = types
        self._plain: dict[str, JSON] = {}

    def plain(self, schema: Any) -> dict[str, Any]:
        """With references and alternatives put in their place; `types`: what it may be, null too; empty: anything."""
        one = dict(schema) if isinstance(schema, Mapping) else {}
        kinds = one.get("type", ())
        one["types"] = {kinds} if isinstance(kinds, str) else set(kinds)
        if not one["types"] and "properties" in one:
            one["types"] = {"object"}
        parts = [self._named(one.pop("$ref"))] if "$ref" in one else []
        for part in (*parts, *map(self.plain, one.pop("allOf", ()))):
            one = _both(part, one)
        for word in ("anyOf", "oneOf"):
            if alternatives := [self.plain(part) for part in one.pop(word, ())]:
                one = _both(reduce(_either, alternatives), one)
        return one

    def _named(self, reference: str) -> JSON:
        name = reference.removeprefix(DEFS)
        if name not in self._plain:
            self._plain[name] = {"types": set()}  # of one that is nothing but itself
            self._plain[name] = self.plain(self._types[name])
        return self._plain[name]


def _both(part: JSON, one: JSON) -> dict[str, Any]:
    """What keeps both; where they say different things, what `one` says."""
    required = {"required": [*part.get("required", ()), *one.get("required", ())]}
    return {**part, **one, **_merged(part, one), **required, "types": part["types"] | one["types"]}


def _either(one: JSON, other: JSON) -> dict[str, Any]:
    """What keeps one of them."""
    required = {"required": [name for name in one.get("required", ()) if name in other.get("required", ())]}
    first, second = _values(one), _values(other)
    values = {} if first is None or second is None else {"enum": [*first, *second]}
    kinds = one["types"] | other["types"] if one["types"] and other["types"] else set()
    either = {**other, **one, **_merged(other, one), **required, **values, "types": kinds}
    if values:
        either.pop("const", None)
    return either


def _merged(part: JSON, one: JSON) -> dict[str, Any]:
    return {
        word: {**part.get(word, {}), **one.get(word, {})}
        for word in ("properties", "patternProperties")
        if word in part or word in one
    }


def _values(schema: JSON) -> Sequence[Any] | None:
    """All that it may be; None: anything of its types."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _present(schema: JSON, word: str) -> dict[str, Any]:
    """Without attributes that must be absent."""
    return {name: one for name, one in schema.get(word, {}).items() if one not in _NOTHING}


def _words(values: Any) -> str:
    return " or ".join(sorted(map(str, values))) or "anything"
