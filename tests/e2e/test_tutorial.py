"""The tutorial "Your own events in ten minutes", word for word, in an empty folder. Only ports are others."""

import re
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

from dispatcher.environment import program_environment
from tests.support.places import ROOT
from tests.support.ports import free_port
from tests.support.processes import Program, clean_environment
from tests.support.waiting import eventually

PAGE = ROOT / "docs/tutorials/own-events.md"


class Block(NamedTuple):
    language: str
    title: str
    text: str


def blocks() -> list[Block]:
    found = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*one) for one in found]


def test_the_tutorial_does_what_it_says(folder: Path, programs: list[Program]) -> None:
    here = folder / "shop"
    here.mkdir()
    ports = {"PORT": str(free_port()), "FLOWER_PORT": str(free_port(1))}
    receiver = str(free_port(2))
    settings = "export DISPATCHER_CATALOGUE=shop_events:catalogue\n"
    first_terminal: list[str] = []
    output = ""
    terminals: dict[str, Program] = {}

    def here_text(text: str) -> str:
        return text.replace("9000", receiver).replace("dispatcher listen", f"dispatcher listen --port {receiver}")

    for block in blocks():
        if block.language == "python":
            (here / block.title).write_text(block.text)
        elif block.language == "text":
            assert block.text in output
        elif block.title:
            script = here_text(block.text.replace("\ndispatcher up", "\nexec dispatcher up"))
            log = folder / f"{block.title}.log"
            terminals[block.title] = Program(["bash", "-ec", script], cwd=here, env=ports, log=log)
            programs.append(terminals[block.title])
            word = "INFO celery.apps.worker worker1@" if "up" in script.split() else "listening on"
            eventually(lambda log=log, word=word: word in log.read_text(), 120, f"{block.title} being ready")
        else:
            output = run(settings + "".join(first_terminal) + here_text(block.text), here, ports)
            first_terminal += [line + "\n" for line in block.text.splitlines() if line.startswith("set -a")]

    received = terminals["third terminal"]
    eventually(lambda: "order.shipped /hook" in received.output, 60, "the order.shipped arriving")
    assert re.search(r"order\.created /hook key \S+: signature valid, responded 200", received.output)
    assert '"carrier": "DHL"' in received.output
    up = terminals["second terminal"]
    up.send(signal.SIGINT)
    assert up.wait(60) == 0, up.output


def run(script: str, cwd: Path, variables: dict[str, str]) -> str:
    """What it prints."""
    environment = program_environment(clean_environment() | variables)
    command = ["bash", "-ec", script]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
