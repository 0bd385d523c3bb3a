"""How a setting is declared, as a field of a dataclass, and read from its environment variable.

The variable is the field's name in capitals after `DISPATCHER_`, unless the field names another.
"""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, field, fields
from functools import partial
from typing import Any, NamedTuple, TypeVar

import marshmallow
from marshmallow import ValidationError

from dispatcher.environment import variable
from dispatcher.errors import InvalidSetting

Kind = TypeVar("Kind")

_FIELDS: "dict[Any, type[marshmallow.fields.Field[Any]]]" = {
    str: marshmallow.fields.String,
    int: marshmallow.fields.Integer,
    float: marshmallow.fields.Float,
    bool: marshmallow.fields.Boolean,
}


def setting(
    sentence: str,
    default: Any = MISSING,
    check: Callable[[Any], Any] | None = None,
    *,
    each: Callable[[str], Any] | None = None,
    separator: str | None = ",",
    secret: bool = False,
    name: str = "",
    fallback: str = "",
    is_advanced: bool = False,
) -> Any:
    """A field with a sentence for its users; without a default it is required.

    `check` and `each` raise a ValidationError; `each` reads one part of a list, comma-separated unless there is another
    `separator` (None: blanks and line breaks). A secret is kept out of `repr`. `name` is that of the variable, where it
    is not the usual one; `fallback` that of one to take instead.
    """
    metadata = {"sentence": sentence, "check": check, "each": each, "is_advanced": is_advanced, "separator": separator}
    return field(default=default, repr=not secret, metadata=metadata | {"name": name, "fallback": fallback})


advanced = partial(setting, is_advanced=True)
"""One that few will ever change."""


class Variable(NamedTuple):
    """A row of the documented tables. `default` is "required" or the value as one would write it."""

    name: str
    default: str
    sentence: str
    is_advanced: bool


def describe(*kinds: type[Any]) -> Iterator[Variable]:
    """Every variable of these dataclasses, in the order of their fields; of each dataclass the advanced ones last."""
    for each in (each for kind in kinds for each in sorted(fields(kind), key=_is_advanced)):
        default = "required" if each.default is MISSING else _as_text(each.default)
        yield Variable(
            name=_name(each),
            default=each.metadata["fallback"] or default,
            sentence=each.metadata["sentence"],
            is_advanced=_is_advanced(each),
        )


def read(kind: type[Kind], declared: type[Any] | None = None) -> Kind:
    """A `kind` from the environment; its fields are declared there, or in `declared` under the same names.

    Raises InvalidSetting, which names the variable and does not repeat its value.
    """
    declarations = {each.name: each for each in fields(declared or kind)}  # type: ignore[arg-type]
    return kind(**{each.name: _value(declarations[each.name]) for each in fields(kind)})  # type: ignore[arg-type]


def _value(declaration: Field[Any]) -> Any:
    name, each = _name(declaration), declaration.metadata["each"]
    if not variable(name):
        name = declaration.metadata["fallback"] or name
    text = variable(name)
    if not text and declaration.default is MISSING:
        raise InvalidSetting(name, f"required: {declaration.metadata['sentence']}")
    try:
        if not text:
            return declaration.default
        if each is not None:
            return tuple(each(part.strip()) for part in text.split(declaration.metadata["separator"]))
        return _FIELDS[declaration.type](validate=declaration.metadata["check"]).deserialize(text)
    except ValidationError as error:
        raise InvalidSetting(name, " ".join(map(str, error.messages)).rstrip(".")) from None


def _name(declaration: Field[Any]) -> str:
    return declaration.metadata["name"] or f"DISPATCHER_{declaration.name.upper()}"


def _is_advanced(declaration: Field[Any]) -> bool:
    return bool(declaration.metadata["is_advanced"])


def _as_text(default: object) -> str:
    if default in ("", ()):
        return "empty"
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, bool):
        return str(int(default))
    return f"{default:.10g}" if isinstance(default, float) else str(default)
