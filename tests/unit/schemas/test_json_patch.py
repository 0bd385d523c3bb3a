"""JSON Patch, by the operations and errors of RFC 6902."""

from typing import Any

import pytest

from dispatcher.schemas.json_patch import PatchFailed, apply, problems_of
from tests.support.cases import each


def op(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"op": name, "path": path, **({"from": more.pop("from_")} if "from_" in more else {}), **more}


@each(
    ("operation", "after"),
    [
        (op("add", "/a/x", value=1), {"a": {"b": [1, 2], "x": 1}}),
        (op("add", "/a/b/0", value=0), {"a": {"b": [0, 1, 2]}}),
        (op("add", "/a/b/-", value=3), {"a": {"b": [1, 2, 3]}}),
        (op("add", "/a~1b", value={"c": []}), {"a": {"b": [1, 2]}, "a/b": {"c": []}}),
        (op("remove", "/a/b/1"), {"a": {"b": [1]}}),
        (op("replace", "/a/b", value="x"), {"a": {"b": "x"}}),
        (op("move", "/c", from_="/a/b"), {"a": {}, "c": [1, 2]}),
        (op("copy", "/c", from_="/a/b/0"), {"a": {"b": [1, 2]}, "c": 1}),
        (op("test", "/a/b/1", value=2), {"a": {"b": [1, 2]}}),
    ],
)
def test_an_operation_changes_the_document(operation: dict[str, Any], after: Any) -> None:
    assert problems_of([operation]) == []
    assert apply([operation], {"a": {"b": [1, 2]}}) == after


@each(
    "operation",
    [
        op("remove", "/a/x"),
        op("replace", "/x", value=1),
        op("add", "/x/y", value=1),
        op("add", "/a/b/3", value=1),
        op("remove", "/a/b/01"),
        op("remove", "/a/b/-"),
        op("move", "/x", from_="/a/b/2"),
        op("add", "/a/b/0/c", value=1),
        op("test", "/a/b/0", value=2),
    ],
)
def test_what_does_not_fit_the_document_fails(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchFailed, match=r"there is no /|another value"):
        apply([operation], {"a": {"b": [1, 2]}}, is_strict=True)


def test_what_is_not_there_is_skipped_as_attributes_may_be_optional() -> None:
    absent = [op("move", "/c", from_="/a/x"), op("copy", "/c", from_="/x/y"), op("remove", "/a/b/2"),
              op("replace", "/a/x", value=1)]  # fmt: skip

    assert apply([*absent, op("add", "/c", value=3)], {"a": {"b": [1, 2]}}) == {"a": {"b": [1, 2]}, "c": 3}
    for operation in (op("add", "/x/y", value=1), op("move", "/x/y", from_="/a"), op("test", "/a/x", value=1)):
        with pytest.raises(PatchFailed):
            apply([operation], {"a": {"b": [1, 2]}})


@each(
    ("patch", "said"),
    [
        ({}, "must be a JSON Patch"),
        ([{"op": "merge"}], "[0]: must be an object whose `op`"),
        ([op("add", "/a")], "[0]: add needs `value`"),
        ([op("move", "/a")], "[0]: move needs `from`"),
        ([op("remove", "")], "[0]: paths must be JSON Pointers below the body"),
        ([op("copy", "/a", from_=1)], "[0]: paths"),
    ],
)
def test_what_is_no_patch_is_refused(patch: Any, said: str) -> None:
    assert said in problems_of(patch)[0]


def test_a_patch_has_few_copies_as_each_may_double_the_document() -> None:
    copies = [op("copy", f"/a/{number}", from_="/a") for number in range(11)]

    assert problems_of(copies[:10]) == []
    assert problems_of(copies) == ["must have at most 10 copy operations"]
