"""Objects and arrays: each goes through its parts once, and asks of them what `Attribute` says."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from marshmallow import Schema, ValidationError, fields
from marshmallow.schema import SchemaMeta

from dispatcher.schemas.wire.fields.attribute import Attribute, JsonSchema

Problems = list[tuple[str, str]]
"""(path, reason) pairs."""
_PROBLEMS_LIMIT = 10_000
"""After these the rest of an array is skipped: two million problems of a body of 5 MiB would take half a minute."""

_ABSENT = object()
_NEVER = (type("_Never", (), {}), bool)
"""`as_is` of attributes that are always converted."""


class Invalid(ValidationError):
    """What is wrong within an object or an array; the paths begin there: `.total`, `[1].id`."""

    def __init__(self, problems: Problems) -> None:
        super().__init__([reason for _, reason in problems])
        self.problems = problems


def _within(path: str, error: ValidationError) -> Problems:
    inner = error.problems if isinstance(error, Invalid) else [("", str(error.messages[0]))]
    return [(path + rest, reason) for rest, reason in inner]


if TYPE_CHECKING:
    List = fields.List[Any]
else:
    List = fields.List  # marshmallow 3 does not say of what


class Items(Attribute, List):
    """An array of plain values."""

    inner: Any

    def __init__(self, inner: Any, **options: Any) -> None:
        super().__init__(inner, **options)
        if self.inner.after_decoding:
            self.after_decoding = partial(_array, self.inner.after_decoding)

    def wire(self, value: object) -> list[Any]:
        return _array(self.inner.wire, value)

    def json_schema(self, refs: str) -> JsonSchema:
        return {"type": "array", "items": self.inner.json_schema(refs)}

    def example(self, name: str) -> list[Any]:
        return [self.inner.example(name)]

    def msgspec_type(self) -> Any:
        return list[self.inner.msgspec_type()]  # type: ignore[misc]


class Shape(Attribute, fields.Nested):
    """A nested object, or with `many` an array of them."""

    @property
    def of(self) -> "type[WireSchema]":
        """The class of `inner`."""
        nested: Any = self.nested
        return nested if isinstance(nested, type) else type(nested)

    @property
    def inner(self) -> "WireSchema":
        """The schema of the object, or of each."""
        inner = self.schema
        assert isinstance(inner, WireSchema)  # noqa: S101 - there are no others
        return inner

    @cached_property
    def wire(self) -> Callable[[Any], Any]:
        """A function that is built once, as it is called often."""
        one = partial(_object, _plan(self.of))
        return partial(_array, one) if self.many else one

    def json_schema(self, refs: str) -> JsonSchema:
        reference = {"$ref": refs + self.inner.type_name}
        return {"type": "array", "items": reference} if self.many else reference

    def example(self, name: str) -> Any:
        one = self.inner.example_object()
        return [one] if self.many else one

    def msgspec_type(self) -> Any:
        from dispatcher.schemas.wire.fields.structs import struct_of  # noqa: PLC0415 -- see `Attribute.msgspec_type`

        one: Any = struct_of(self.of)
        return list[one] if self.many else one


class Group:
    """Attributes that several types have one after the other; in a schema's body they stand where the group stands."""

    def __init__(self, **attributes: Attribute) -> None:
        self.attributes = attributes


class _WithGroups(SchemaMeta):
    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> "_WithGroups":
        flat: dict[str, Any] = {}
        for key, value in attrs.items():
            flat |= value.attributes if isinstance(value, Group) else {key: value}
        return cast("_WithGroups", super().__new__(cls, name, bases, flat))


class WireSchema(Schema, metaclass=_WithGroups):
    """A JSON object: attributes in the documented order, unknown ones refused on load, absent ones left out."""

    class Meta:
        """Options."""

        unknown = "raise"

    missing_text: ClassVar = "missing"
    unknown_text: ClassVar = "unknown attribute"

    def null_text(self, _: Any) -> str:
        """What is said of a null where none may be."""
        return "may not be null"

    @property
    def type_name(self) -> str:
        """The name of its type, `Invoice` for an InvoiceSchema."""
        return type(self).__name__.removesuffix("Schema")

    def wire(self, value: object) -> dict[str, Any]:
        """The JSON object to send, from a dict or an object with attributes; raises Invalid with all that is wrong."""
        return _object(_plan(type(self)), value)

    def example_object(self) -> dict[str, Any]:
        """Every attribute, none null. Not real data: sums do not add up."""
        fields: Any = self.fields
        return {name: field.example(name) for name, field in fields.items()}


class _Plan(NamedTuple):
    """An object, prepared to be walked through."""

    unknown_text: str
    attributes: tuple[tuple[str, type, Callable[[Any], object], Callable[[Any], Any], str | None, str | None], ...]
    """Of each: its name, what is taken as it is (`Attribute.as_is`), its conversion otherwise, and what is said of it
    where it is absent or null: None where it may be."""


@cache
def _plan(of: type[WireSchema]) -> _Plan:
    schema = of()
    fields: Any = schema.fields
    return _Plan(
        schema.unknown_text,
        tuple(
            (
                name,
                *(field.as_is or _NEVER),
                field.wire,
                schema.missing_text if field.required else None,
                None if field.allow_none else schema.null_text(field),
            )
            for name, field in fields.items()
        ),
    )


def _object(plan: _Plan, value: object) -> dict[str, Any]:
    unknown_text, attributes = plan
    source: Any = value if type(value) is dict else _attributes_of(value, [each[0] for each in attributes])
    wired: dict[str, Any] = {}
    problems: Problems = []
    get = source.get
    for name, kind, is_fine, convert, missing, null in attributes:
        item = get(name, _ABSENT)
        if type(item) is kind and is_fine(item):
            wired[name] = item
        elif item is _ABSENT:
            if missing:
                problems.append((f".{name}", missing))
        elif item is None:
            wired[name] = None
            if null:
                problems.append((f".{name}", null))
        else:
            try:
                wired[name] = convert(item)
            except ValidationError as error:
                problems += _within(f".{name}", error)
    if problems or len(wired) != len(source):  # or there is more than the schema knows
        known = {each[0] for each in attributes}
        raise Invalid([(f".{name}", unknown_text) for name in source if name not in known] + problems)
    return wired


def _attributes_of(value: object, names: list[str]) -> Mapping[Any, Any]:
    """A mapping as it is; of an object the attributes that the schema knows: it may have more."""
    if isinstance(value, Mapping):
        return value
    if _is_plain(value):
        raise ValidationError("not an object")
    attributes = {name: attribute for name in names if (attribute := getattr(value, name, _ABSENT)) is not _ABSENT}
    if not attributes:  # a Decimal, a date, a set
        raise ValidationError("not an object with such attributes")
    return attributes


def _is_plain(value: object) -> bool:
    """Whether it is a value or an array; a namedtuple and a row of a SELECT are sequences too, but have attributes."""
    if isinstance(value, Sequence):
        return not hasattr(value, "_fields")
    return value is None or isinstance(value, int | float)


def _array(convert: Callable[[Any], Any], value: Any) -> list[Any]:
    if type(value) is not list and (isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__")):
        raise ValidationError("not an array")
    wired: list[Any] = []
    problems: Problems = []
    for number, item in enumerate(value):
        try:
            wired.append(convert(item))
        except ValidationError as error:
            problems += _within(f"[{number}]", error)
            if len(problems) >= _PROBLEMS_LIMIT:
                break
    if problems:
        raise Invalid(problems)
    return wired
