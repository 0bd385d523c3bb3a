"""Many cases of one rule in one test: as tests of their own they would cost more than what they check.

    @each("text", ["", " ", "a b"])
    def test_what_is_no_name_is_refused(text: str) -> None: ...

As `pytest.mark.parametrize`, but all cases share what the test's fixtures made. All are tried; where some fail, the
failure is that of the first, and names it and how many others there are.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import pytest

Test = Callable[..., None]


def each(names: str | tuple[str, ...], cases: Iterable[Any]) -> Callable[[Test], Test]:
    """`names`: the argument that a case is, or those that it is a tuple of."""
    table = [{names: case} if isinstance(names, str) else dict(zip(names, case, strict=True)) for case in cases]
    assert table, "a table without a case proves nothing"

    def decorate(test: Test) -> Test:
        @wraps(test)
        def all_cases(**fixtures: Any) -> None:
            __tracebackhide__ = True
            failures = []
            for case in table:
                try:
                    test(**fixtures, **case)
                except (Exception, pytest.fail.Exception) as failure:
                    failures.append((case, failure))
            if failures:
                case, first = failures[0]
                first.add_note(f"in the case {described(case)}; {len(failures)} of {len(table)} cases failed")
                raise first

        signature = inspect.signature(test)
        fixtures = [one for name, one in signature.parameters.items() if name not in table[0]]
        all_cases.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        return all_cases

    return decorate


def described(case: dict[str, Any]) -> str:
    """In a line that can be read."""
    return ", ".join(f"{name}={shortened(value)}" for name, value in case.items())


def shortened(value: Any) -> str:
    try:
        text = ascii(value)
    except ValueError:  # an integer of thousands of digits
        text = f"{type(value).__name__} {value:x}"
    return text if len(text) <= 200 else f"{text[:200]}…"
