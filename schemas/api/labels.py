"""Tags and metadata of a webhook: for people and for the company's programs, never sent."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, fields

_TAG = re.compile(r"[^\s,\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,50}\Z")
_TAGS = 20
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}\Z")
_VALUE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,500}\Z")
_ENTRIES = 50
_ARE_NO_TAGS = f"must be an array of at most {_TAGS} different tags of 1 to 50 characters, without blanks and commas"
_IS_NO_METADATA = (
    f"must be an object of at most {_ENTRIES} names (1 to 40 characters of A-Z a-z 0-9 _ . -) and values (texts of at"
    " most 500 characters)"
)


def tags() -> fields.List[str]:
    """A field of tags."""
    word = fields.String(error_messages={"invalid": _ARE_NO_TAGS, "null": _ARE_NO_TAGS})
    return fields.List(word, validate=_check_tags, error_messages={"invalid": _ARE_NO_TAGS, "null": _ARE_NO_TAGS})


def metadata() -> fields.Dict:
    """A field of names and values."""
    value = fields.String(error_messages={"invalid": _IS_NO_METADATA, "null": _IS_NO_METADATA})
    messages: dict[str, Any] = {"invalid": _IS_NO_METADATA, "null": _IS_NO_METADATA}
    return fields.Dict(fields.String(), value, validate=_check_metadata, error_messages=messages)


def _check_tags(tags: Sequence[str]) -> None:
    if len(tags) > _TAGS or len(set(tags)) < len(tags) or not all(map(_TAG.match, tags)):
        raise ValidationError(_ARE_NO_TAGS)


def _check_metadata(pairs: Mapping[str, str]) -> None:
    if len(pairs) > _ENTRIES or not all(_NAME.match(name) and _VALUE.match(value) for name, value in pairs.items()):
        raise ValidationError(_IS_NO_METADATA)
