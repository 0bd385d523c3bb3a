"""JSON Patch (RFC 6902), by which a body of one version is made one of the version before. Pure."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

Operation = Mapping[str, Any]
OPERATION_LIMIT, COPY_LIMIT = 200, 10
"""Each copy may double the document."""

_NEEDS = {"add": "value", "replace": "value", "test": "value", "remove": "", "move": "from", "copy": "from"}
"""Operation → what it needs besides its path."""
_SOURCED = frozenset({"remove", "replace", "move", "copy"})


class PatchFailed(ValueError):
    """A patch cannot be applied: to no document (see `problems_of`), or not to this one. Holds no value of it."""


def problems_of(patch: Any) -> list[str]:
    """Why it is no JSON Patch; empty where it is."""
    if not isinstance(patch, list) or len(patch) > OPERATION_LIMIT:
        return [f"must be a JSON Patch, an array of at most {OPERATION_LIMIT} operations"]
    if sum(isinstance(one, dict) and one.get("op") == "copy" for one in patch) > COPY_LIMIT:
        return [f"must have at most {COPY_LIMIT} copy operations"]
    return [f"[{number}]: {text}" for number, one in enumerate(patch) if (text := _problem_of(one))]


def apply(patch: Sequence[Operation], document: Any, *, is_strict: bool = False) -> Any:
    """The document after all operations, which change what they are given; raises PatchFailed.

    An operation on what the document does not have is skipped, as attributes may be optional; RFC 6902 and `is_strict`
    have it fail.
    """
    for operation in patch:
        if is_strict or _has_source(operation, document):
            document = _apply(operation, document)
    return document


def _has_source(operation: Operation, document: Any) -> bool:
    """Whether what it takes or replaces is there."""
    source = operation.get("from", operation["path"]) if operation["op"] in _SOURCED else None
    if source is None:
        return True
    try:
        _at(document, parts(source))
    except PatchFailed:
        return False
    return True


def _problem_of(operation: Any) -> str:
    if not isinstance(operation, dict) or operation.get("op") not in _NEEDS:
        return f"must be an object whose `op` is one of {', '.join(_NEEDS)}"
    needs = _NEEDS[operation["op"]]
    if needs and needs not in operation:
        return f"{operation['op']} needs `{needs}`"
    pointers = [operation.get("path"), *([operation["from"]] if needs == "from" else [])]
    if not all(isinstance(one, str) and one.startswith("/") for one in pointers):
        return "paths must be JSON Pointers below the body, such as /order/number"
    return ""


def _apply(operation: Operation, document: Any) -> Any:
    path = parts(operation["path"])
    match operation["op"]:
        case "add":
            _add(document, path, copy.deepcopy(operation["value"]))
        case "remove":
            _remove(document, path)
        case "replace":
            _remove(document, path)
            _add(document, path, copy.deepcopy(operation["value"]))
        case "move":
            _add(document, path, _remove(document, parts(operation["from"])))
        case "copy":
            _add(document, path, copy.deepcopy(_at(document, parts(operation["from"]))))
        case "test":
            if _at(document, path) != operation["value"]:
                raise PatchFailed(f"{operation['path']} has another value")
    return document


def _add(document: Any, path: Sequence[str], value: Any) -> None:
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(parent, path, len(parent)), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise _nothing(path)


def _remove(document: Any, path: Sequence[str]) -> Any:
    _at(document, path)
    parent = _at(document, path[:-1])
    return parent.pop(_index(parent, path, len(parent) - 1) if isinstance(parent, list) else path[-1])


def _at(document: Any, path: Sequence[str]) -> Any:
    for depth, part in enumerate(path, 1):
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list):
            document = document[_index(document, path[:depth], len(document) - 1)]
        else:
            raise _nothing(path[:depth])
    return document


def _index(array: list[Any], path: Sequence[str], most: int) -> int:
    last = path[-1]
    if not (last.isascii() and last.isdigit()) or int(last) > most or (last != "0" and last.startswith("0")):
        raise _nothing(path)
    return int(last)


def parts(pointer: str) -> list[str]:
    """The names on the way that a JSON Pointer (RFC 6901) leads."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _nothing(path: Sequence[str]) -> PatchFailed:
    return PatchFailed(f"there is no /{'/'.join(path)}")
