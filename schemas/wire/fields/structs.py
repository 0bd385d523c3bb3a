"""Objects as msgspec decodes them, of the schemas that say what is in them. For servers."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from dispatcher.schemas.wire.fields.nested import WireSchema


def struct(name: str, attributes: Any, **options: Any) -> type[msgspec.Struct]:
    """Attributes are written in the order given, and no others are taken."""
    return msgspec.defstruct(name, attributes, kw_only=True, forbid_unknown_fields=True, gc=False, **options)


@cache
def struct_of(schema: type[WireSchema]) -> type[msgspec.Struct]:
    """The struct of a schema's objects."""
    fields: Any = schema().fields
    attributes = [_struct_attribute(name, field) for name, field in fields.items()]
    unfinished = tuple((name, field.after_decoding) for name, field in fields.items() if field.after_decoding)
    return struct(schema.__name__, attributes, namespace={"__post_init__": _finish(unfinished)} if unfinished else {})


def _struct_attribute(name: str, field: Any) -> tuple[Any, ...]:
    type_ = field.msgspec_type() | None if field.allow_none else field.msgspec_type()
    return (name, type_) if field.required else (name, type_ | UnsetType, UNSET)


def _finish(unfinished: tuple[tuple[str, Callable[[Any], Any]], ...]) -> Callable[[Any], None]:
    """What msgspec calls with each object. A ValueError, as a ValidationError is, is one of msgspec's then."""

    def finish(self: Any) -> None:
        for name, after_decoding in unfinished:
            value = getattr(self, name)
            if value is not None and value is not UNSET:
                setattr(self, name, after_decoding(value))

    return finish
