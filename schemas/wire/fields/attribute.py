"""What every field type says of its values. A new type is one subclass of `Wire`, and a change nowhere else."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from marshmallow import fields

JsonSchema = dict[str, Any]


class Attribute:
    """An attribute's type, as the renderer, the decoder, the JSON Schema and the examples ask for it."""

    as_is: tuple[type, Callable[[Any], object]] | None = None
    """A value of exactly this type that passes the test is its own wire form: `wire` need not be asked."""
    after_decoding: Callable[[Any], Any] | None = None
    """What becomes of a value that msgspec decoded, where that is not its wire form yet; raises ValidationError."""
    form: ClassVar[JsonSchema]
    sample: ClassVar[Any]
    decoded_as: ClassVar[Any]
    """What `json_schema`, `example` and `msgspec_type` return, where that is the same of all attributes of the type."""

    def wire(self, value: Any) -> Any:
        """The JSON value to send; raises a ValidationError that never repeats the value: it may be confidential."""
        raise NotImplementedError

    def json_schema(self, refs: str) -> JsonSchema:
        """The JSON Schema of the wire form, null aside; a type of object is named as `refs` and its name."""
        return self.form

    def example(self, name: str) -> Any:
        """A wire form for documentation, of an attribute of that name."""
        return self.sample

    def msgspec_type(self) -> Any:
        """What msgspec decodes it as, null aside: it takes only what is in its wire form already.

        A server asks for it; msgspec is imported here only, as a process that emits does without it.
        """
        return self.decoded_as


if TYPE_CHECKING:
    Field = fields.Field[Any]
else:
    Field = fields.Field  # marshmallow 3 does not say of what


class Wire(Attribute, Field):
    """A plain value with one wire form. Absent attributes stay absent; `id`s are required."""

    def python(self, wired: Any) -> Any:
        """What a load gives for a wire value."""
        return wired

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.wire(value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return self.python(self.wire(value))
