"""The process that `forked` talks to: it imports what a program needs, and forks one for each request.

`python -u -m tests.support.preloaded FD` listens on the socket FD, and forks for each connection a process that answers
a line of JSON for each request: the id of one that it has forked, or the exit code of one that has ended.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import dispatcher.cli
from dispatcher.processes import child
from tests.support.forked import say
from tests.support.places import ROOT


def _run_script() -> None:
    """`python SCRIPT ARGUMENTS`"""
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


def _run_celery() -> None:
    importlib.import_module("celery.__main__").main()


_PROGRAMS: dict[str, Callable[[], Any]] = {
    "celery": _run_celery,
    "dispatcher": dispatcher.cli.main,
    "python": _run_script,
}
_PACKAGES = ("pipeline", "storage", "schedule", "sender", "broker", "model")
_MODULES = [
    *("celery.__main__", "celery.bin.celery", "celery.apps.worker", "celery.worker.consumer"),
    *("celery.worker.components", "celery.concurrency.thread", "celery.events.state", "kombu.transport.redis"),
    *("dispatcher.container", "dispatcher.cli.root", "dispatcher.cli.serve", "dispatcher.web.server"),
    *("uvicorn.lifespan.on", "uvloop"),
]


def _main() -> NoReturn:
    line = _accepted(socket.socket(fileno=int(sys.argv[1])))
    request = _serve(line)
    line.close()
    _become(request)


def _accepted(listener: socket.socket) -> socket.socket:
    """A connection; returns in the process that was forked for it."""
    dies_with_us = child.die_with_parent(signal.SIGKILL)
    line, _ = listener.accept()
    _import_all()  # now, as some runs of tests need no program
    while os.fork():
        line.close()
        line, _ = listener.accept()
    dies_with_us()
    listener.close()
    return line


def _import_all() -> None:
    for name in _MODULES:
        importlib.import_module(name)
    for package in _PACKAGES:
        for module in pkgutil.walk_packages([str(ROOT / "dispatcher" / package)], f"dispatcher.{package}."):
            if "migrations" not in module.name:
                importlib.import_module(module.name)
    gc.freeze()  # or each fork walks all of it, at its end above all, and copies it by that


def _serve(line: socket.socket) -> Any:
    """Answers questions; returns in each forked process, with what it is to be."""
    file, dies_with_us = line.makefile("rw", encoding="utf-8"), child.die_with_parent(signal.SIGKILL)
    while text := file.readline():
        question = json.loads(text)
        if "reap" in question:
            pid, status = os.waitpid(question["reap"], os.WNOHANG)
            say(file, os.waitstatus_to_exitcode(status) if pid else None)
        elif pid := os.fork():
            say(file, pid)
        else:
            file.detach()
            return question | {"dies_with_us": dies_with_us}
    sys.exit()


def _become(request: Any) -> NoReturn:
    """From here on this is a program that was started as `request` says."""
    os.setsid()
    request["dies_with_us"]()
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    with Path(os.devnull).open("rb") as nothing, Path(request["log"]).open("ab") as log:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.argv[:] = request["command"]
    sys.path[0] = str(Path(request["command"][0]).parent)
    sys.exit(_PROGRAMS[Path(request["command"][0]).name]())


if __name__ == "__main__":
    _main()
