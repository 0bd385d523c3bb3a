"""A webhook's filter on the bodies of events: checked against their JSON Schemas, and compiled to a jsonpath.

    {"invoice": {"status": ["paid", "overdue"], "total": [{"numeric": [">=", 1000]}]}}

An object names attributes, all of which must match; an array holds alternatives of one attribute: values that it may
equal, or conditions (`prefix`, `suffix`, `exists`, `numeric`, `anything-but`). `$and`, `$or` and `$not` combine
filters. Where a path leads through an array, one of its items must match. An event that lacks the attribute does not.

The fan-out asks Postgres for `body @@ filter_path`. Each condition is an `exists(...)`, which is true or false and
never unknown, so that `$not` means what it says.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError

from dispatcher.schemas.errors import plain
from dispatcher.schemas.located import Schema, SchemaPart, attribute, bodies, no_such_attribute, types_of
from dispatcher.schemas.wire.fields import UNSENDABLE

Problem = tuple[str, str]
"""Where in the filter, and what is wrong there."""

SIZE_LIMIT, DEPTH_LIMIT, CONDITION_LIMIT = 8_192, 12, 100
"""Characters of a filter as JSON, objects in one another, and alternatives in all."""
COMBINATIONS = ("$and", "$or", "$not")
CONDITIONS = ("prefix", "suffix", "exists", "numeric", "anything-but")
_COMPARISONS = {"<": "<", "<=": "<=", "=": "==", ">": ">", ">=": ">="}
_SHOWN = 10
_SPECIAL = re.compile(r"([!-/:-@\[-`{-~])")
_TYPES = {bool: "boolean", str: "string", type(None): "null"}
_KINDS = {"boolean": "a boolean", "string": "text", "null": "null", "integer": "a number", "number": "a number",
          "object": "an object", "array": "an array"}  # fmt: skip


def compile_filter(filter_: Any, events: Iterable[str]) -> str:
    """The jsonpath predicate of a filter for these subscriptions; raises a ValidationError that lists what is wrong.

    A path that none of the events has is refused. Events without a schema (the dispatcher's own) are not asked.
    """
    if not isinstance(filter_, dict):
        raise ValidationError(["must be a JSON object, or null"])
    if len(json.dumps(filter_, ensure_ascii=False)) > SIZE_LIMIT:
        raise ValidationError([f"is too long (maximum is {SIZE_LIMIT:,} characters)"])
    compiler = _Compiler(bodies(events))
    predicate = compiler.object(filter_, "$", "", compiler.schemas, 1)
    if compiler.problems:
        raise ValidationError([f"{path}: {text}" if path else text for path, text in compiler.problems[:_SHOWN]])
    return predicate


class _Compiler:
    """Goes through one filter, and notes what is wrong with it."""

    def __init__(self, schemas: Sequence[SchemaPart]) -> None:
        self.schemas = schemas
        self.problems: list[Problem] = []
        self._count = 0

    def object(self, node: Any, path: str, at: str, schemas: Sequence[SchemaPart], depth: int) -> str:
        """`path`: the jsonpath of what the node is about; `at`: the same for people."""
        if not isinstance(node, dict) or not node:
            return self._wrong(at, "must be an object with at least one condition")
        if depth > DEPTH_LIMIT:
            return self._wrong(at, f"is nested too deeply (maximum is {DEPTH_LIMIT})")
        parts = [self._entry(key, value, path, at, schemas, depth) for key, value in node.items()]
        return _all(parts)

    def _entry(self, key: str, value: Any, path: str, at: str, schemas: Sequence[SchemaPart], depth: int) -> str:
        here = f"{at}.{plain(key)}".lstrip(".")
        if key.startswith("$"):
            return self._combination(key, value, path, here, schemas, depth)
        attributes = attribute(key, schemas)
        if not attributes:
            return self._wrong(here, no_such_attribute(key, schemas))
        inner_path = f"{path}.{self._json(key, here)}"
        if isinstance(value, list):
            return self._alternatives(
                value, inner_path, here, [one for schema in attributes for one in schema.leaves()]
            )
        return self.object(value, inner_path, here, attributes, depth + 1)

    def _combination(self, key: str, value: Any, path: str, at: str, schemas: Sequence[SchemaPart], depth: int) -> str:
        if key not in COMBINATIONS:
            return self._wrong(at, f"is not one of {', '.join(COMBINATIONS)}")
        if key == "$not":
            return f"!({self.object(value, path, at, schemas, depth + 1)})"
        if not isinstance(value, list) or not value:
            return self._wrong(at, "must be an array of filters")
        parts = [self.object(one, path, f"{at}[{n}]", schemas, depth + 1) for n, one in enumerate(value)]
        return _all(parts) if key == "$and" else _any(parts)

    def _alternatives(self, values: Sequence[Any], path: str, at: str, leaves: Sequence[Schema]) -> str:
        """One of the values or conditions holds: those of the value itself in one comparison."""
        self._count += len(values)
        if self._count > CONDITION_LIMIT:
            return self._wrong(at, f"has too many conditions (maximum is {CONDITION_LIMIT} in a filter)")
        if not values:
            return self._wrong(at, "must name at least one value or condition")
        of_the_value: list[str] = []
        others: list[str] = []
        for value in values:
            if isinstance(value, dict):
                self._condition(value, path, at, leaves, of_the_value, others)
            else:
                of_the_value.append(self._equals(value, at, leaves))
        conditions = [f"exists({path} ? ({_any(of_the_value)}))"] if of_the_value else []
        return _any([*conditions, *others])

    def _condition(
        self,
        condition: Mapping[str, Any],
        path: str,
        at: str,
        leaves: Sequence[Schema],
        of_the_value: list[str],
        others: list[str],
    ) -> None:
        operator, operand = next(iter(condition.items())) if len(condition) == 1 else ("", None)
        match operator:
            case "prefix" | "suffix":
                of_the_value.append(self._text(operator, operand, at, leaves))
            case "numeric":
                of_the_value.append(self._numeric(operand, at, leaves))
            case "exists" if isinstance(operand, bool):
                others.append(f"exists({path})" if operand else f"!exists({path})")
            case "exists":
                self._wrong(at, "`exists` must be true or false")
            case "anything-but":
                others.append(f"(exists({path}) && !exists({path} ? ({self._excluded(operand, at, leaves)})))")
            case _:
                self._wrong(at, f"a condition is an object with one of {', '.join(CONDITIONS)}")

    def _excluded(self, operand: Any, at: str, leaves: Sequence[Schema]) -> str:
        """What `anything-but` rules out: a value, one of an array, or a prefix or suffix."""
        if isinstance(operand, dict) and len(operand) == 1 and (set(operand) <= {"prefix", "suffix"}):
            (name,) = operand
            return self._text(name, operand[name], at, leaves)
        values = operand if isinstance(operand, list) else [operand]
        if not values or len(values) > CONDITION_LIMIT:
            return self._wrong(at, f"`anything-but` must name 1 to {CONDITION_LIMIT} values")
        return _any([self._equals(value, at, leaves) for value in values])

    def _equals(self, value: Any, at: str, leaves: Sequence[Schema]) -> str:
        kind = _TYPES.get(type(value), "number" if isinstance(value, int | float) else "")
        if not kind:
            return self._wrong(at, "must be text, a number, true, false or null")
        allowed = {type_ for leaf in leaves for type_ in types_of(leaf)}
        if allowed and kind not in allowed | ({"number"} if "integer" in allowed else set()):
            kinds = " or ".join(sorted({_KINDS[type_] for type_ in allowed}))
            return self._wrong(at, f"{_text(value)} can never be equal: the attribute is {kinds}")
        words = [leaf.get("enum") for leaf in leaves]
        known = [word for some in words if some is not None for word in some]
        if all(some is not None for some in words) and leaves and value not in known:
            texts = sorted(word for word in known if isinstance(word, str))
            return self._wrong(at, f"{_text(value)} can never be equal; allowed: {', '.join(texts)}")
        return f"@ == {self._json(value, at)}"

    def _text(self, operator: str, operand: Any, at: str, leaves: Sequence[Schema]) -> str:
        if not isinstance(operand, str) or not operand:
            return self._wrong(at, f"`{operator}` must be text")
        if not _has_type(leaves, "string"):
            return self._wrong(at, f"`{operator}` is for text, which the attribute is not")
        if operator == "prefix":
            return f"@ starts with {self._json(operand, at)}"
        return f"@ like_regex {self._json(_SPECIAL.sub(_escaped, operand) + '$', at)}"

    def _numeric(self, operand: Any, at: str, leaves: Sequence[Schema]) -> str:
        """Decimal numbers are sent as text, and compared as numbers."""
        if not _is_comparison(operand):
            return self._wrong(at, '`numeric` must be such as [">", 100] or [">=", 100, "<", 500]')
        as_text = any(_is_decimal(leaf) for leaf in leaves)
        if leaves and not as_text and not _has_type(leaves, "integer", "number"):
            return self._wrong(at, "`numeric` is for numbers, which the attribute is not")
        value = "@.double()" if as_text else "@"
        pairs = zip(operand[::2], operand[1::2], strict=True)
        return _all([f"{value} {_COMPARISONS[sign]} {self._json(number, at)}" for sign, number in pairs])

    def _json(self, value: Any, at: str) -> str:
        if isinstance(value, str) and UNSENDABLE.search(value):
            return self._wrong(at, "holds a NUL or a lone surrogate")
        if isinstance(value, float) and not math.isfinite(value):
            return self._wrong(at, "holds a number that is too large")
        return _literal(value)

    def _wrong(self, at: str, text: str) -> str:
        """Notes a problem; what is compiled of it is used by nobody."""
        self.problems.append((at, text))
        return "false"


def _has_type(leaves: Sequence[Schema], *names: str) -> bool:
    """Whether one may be of such a type; where nothing is said of types, all may be."""
    allowed = {type_ for leaf in leaves for type_ in types_of(leaf)}
    return not allowed or bool(allowed & set(names))


def _is_decimal(schema: Schema) -> bool:
    """Whether it is text that is a decimal number."""
    pattern = schema.get("pattern")
    return "string" in types_of(schema) and pattern is not None and bool(re.search(pattern, "1.0"))


def _is_comparison(operand: Any) -> bool:
    return (
        isinstance(operand, list)
        and len(operand) in (2, 4)
        and all(isinstance(sign, str) and sign in _COMPARISONS for sign in operand[::2])
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in operand[1::2])
    )


def _escaped(match: re.Match[str]) -> str:
    return "\\" + match[1]


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(value: Any) -> str:
    return plain(_literal(value))


def _joined(word: str) -> Callable[[Sequence[str]], str]:
    return lambda parts: parts[0] if len(parts) == 1 else "(" + f" {word} ".join(parts) + ")"


_all, _any = _joined("&&"), _joined("||")
