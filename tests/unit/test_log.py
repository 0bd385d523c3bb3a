"""The two forms of a line, and what is said of exceptions."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dispatcher import log
from tests.support.cases import each


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """pytest's own handlers, put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    log._is_json = False


def written(capsys: pytest.CaptureFixture[str], form: str, say: Callable[[logging.Logger], None]) -> str:
    log.set_up("debug", form)
    say(logging.getLogger("dispatcher.somewhere"))
    return capsys.readouterr().err


def test_as_text_a_step_is_an_event_and_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    text = written(capsys, "text", lambda own: own.info(log.line("delivery.attempted", key="k", attempt=2, url=None)))

    assert text.endswith(" INFO dispatcher.somewhere delivery.attempted key=k attempt=2\n")


@each(
    ("value", "told"),
    [
        ("/café", "/café"),
        ("/x\ny.broken path=/z", r"'/x\ny.broken path=/z'"),
        ("/x\x1b[2J\u2028", r"'/x\x1b[2J\u2028'"),
        ("/x level=error", "'/x level=error'"),
        ("'a = b'", "'a = b'"),
        ([1, 2], "[1, 2]"),
        ("", ""),
    ],
)
def test_no_value_ends_its_line_or_forges_a_field(
    capsys: pytest.CaptureFixture[str], value: list[int] | str, told: str
) -> None:
    text = written(capsys, "text", lambda own: own.info(log.line("request.failed", path=value)))

    assert text.endswith(f" request.failed path={told}\n")


def test_as_json_the_fields_keep_their_types(capsys: pytest.CaptureFixture[str]) -> None:
    text = written(capsys, "json", lambda own: own.info(log.line("delivery.attempted", key="k", attempt=2, time="t")))

    found = json.loads(text)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "info", "logger": "dispatcher.somewhere", "event": "delivery.attempted",
        "key": "k", "attempt": 2, "time_": "t",
    }  # fmt: skip


def test_as_json_an_exception_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def say(own: Any) -> None:
        try:
            raise ValueError("first\nsecond")
        except ValueError:
            own.exception("tick.failed")

    text = written(capsys, "json", say)

    assert text.count("\n") == 1
    found = json.loads(text)
    assert found["event"] == "tick.failed"
    assert "ValueError: first\nsecond" in found["exception"]


def test_lines_of_others_are_told_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = written(capsys, "json", lambda own: own.warning("%s of %d", "some", 3))

    assert json.loads(text)["event"] == "some of 3"


@each(("form", "start"), [("text", "web.started port=1\n"), ("json", '{"time": ')])
def test_what_a_command_announces_has_the_same_form(capsys: pytest.CaptureFixture[str], form: str, start: str) -> None:
    log.set_up("error", form)
    log.announce("web.started", port=1)

    said = capsys.readouterr().out
    assert said.startswith(start)
    assert form == "text" or json.loads(said)["event"] == "web.started"
