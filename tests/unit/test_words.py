"""What people read is plain English in the field's words, and a name says what the thing is."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click

from dispatcher.cli.root import main
from tests.support.cases import each

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = re.compile(
    r"let alone|switched off|sent again|sent once more|once more|so many|for so long|of ours|well again|it is wished"
    r"|\bplease\b|\btries\b|\btold\b|looked at|looks on|what waits|that waits?\b|is there already|no such record",
    re.IGNORECASE,
)
SHARED_NAMES = {"Meta"}
"""Django's word."""
VAGUE = re.compile(r"(?:^|_)(?:(?<!not_)found|made|told|looks?|looked|own|given|wanted)(?:_|$)")
"""In a name, these tell what happened to a thing, and not what it is. `not_found` is HTTP's."""
FOREIGN_NAMES = {"connection_made"}
"""asyncio's."""


def texts() -> dict[str, str]:
    """Where people read it → the text: templates, messages of errors, help of metrics and of commands."""
    found = {str(path): path.read_text() for path in ROOT.glob("dispatcher/**/*.html")}
    for path in (ROOT / "dispatcher/errors.py", *ROOT.glob("dispatcher/metrics/*.py")):
        found[str(path)] = "\n".join(strings(path, docstrings=path.name == "errors.py"))
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        for one in (command, *getattr(command, "commands", {}).values()):
            found[f"{name} {one.name} --help"] = one.get_help(click.Context(one))
    return found


def strings(path: Path, *, docstrings: bool) -> list[str]:
    """The text constants of a module; of docstrings, those of classes, which are messages."""
    tree = ast.parse(path.read_text())
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and not (docstrings and isinstance(node.value, ast.Constant))
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    ]


class Names(NamedTuple):
    """Of a module."""

    classes: list[tuple[str, int]]
    """With their lengths in lines."""
    all: set[str]
    """What it defines or assigns."""


@cache
def names(path: Path) -> Names:
    found = Names([], set())
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ClassDef(name=name):
                found.classes.append((name, (node.end_lineno or 0) - node.lineno + 1))
                found.all.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                found.all.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.all.add(name)
    return found


def classes() -> list[tuple[str, int]]:
    folders = [ROOT / package for package in ("dispatcher", "schemas", "tasks")]
    return [one for folder in folders for path in folder.rglob("*.py") for one in names(path).classes]


def readable(text: str) -> str:
    """Without the code of templates, whose names nobody reads."""
    return re.sub(r"{[{%].*?[%}]}", " ", text, flags=re.DOTALL)


def test_texts_speak_the_words_of_the_field() -> None:
    found = {where: FORBIDDEN.findall(readable(text)) for where, text in texts().items()}

    assert {where: words for where, words in found.items() if words} == {}


@each("text", ["It is let alone for 2 min.", "Sent with 5 tries", "1 to 10 events, please"])
def test_a_wrong_word_is_noticed(text: str) -> None:
    assert FORBIDDEN.search(readable(text))


def test_no_two_classes_share_a_name() -> None:
    counts = Counter(name for name, _ in classes())

    assert {name for name, count in counts.items() if count > 1} <= SHARED_NAMES


def test_no_class_is_longer_than_two_would_be() -> None:
    assert [(name, lines) for name, lines in classes() if lines > 250] == []
    assert len((ROOT / "dispatcher/container.py").read_text().splitlines()) <= 150


def test_names_say_what_a_thing_is() -> None:
    paths = [path for name in ("bench", "dispatcher", "schemas", "tasks") for path in (ROOT / name).rglob("*.py")]
    vague = {str(path): {name for name in names(path).all if VAGUE.search(name)} - FOREIGN_NAMES for path in paths}

    assert {path: words for path, words in vague.items() if words} == {}
