"""The Procfile's lines."""

import pytest

from dispatcher.errors import ServiceStartFailed
from dispatcher.processes.procfile import parse_procfile
from tests.support.cases import each
from tests.support.places import ROOT


def test_names_and_commands_keep_their_order() -> None:
    text = "# processes\n\nrelease: dispatcher migrate\nworker_slow:celery -n slow${N:-1}@%h   \n"

    assert parse_procfile(text) == {"release": "dispatcher migrate", "worker_slow": "celery -n slow${N:-1}@%h"}
    assert list(parse_procfile(text)) == ["release", "worker_slow"]


@each("line", ["worker", "worker:", ": celery", "two words: celery"])
def test_another_form_is_refused_with_its_line_number(line: str) -> None:
    with pytest.raises(ServiceStartFailed, match="line 2"):
        parse_procfile(f"release: dispatcher migrate\n{line}\n")


def test_a_name_may_be_there_once() -> None:
    with pytest.raises(ServiceStartFailed, match="line 2: duplicate name web"):
        parse_procfile("web: one\nweb: two\n")


def test_ours_has_the_processes_of_production() -> None:
    commands = parse_procfile((ROOT / "Procfile").read_text())

    assert {"release", "web", "worker", "worker_slow", "flower"} <= set(commands)
    assert all("&" not in command and ";" not in command for command in commands.values())  # each can be `exec`ed
