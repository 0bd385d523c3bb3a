"""The supervisor, with processes of a few lines of shell."""

import os
import re
import signal
import subprocess
from pathlib import Path

from tests.integration.local.conftest import Start
from tests.support.processes import is_alive, processes_with
from tests.support.waiting import eventually

# Runs the commands given as name=command; the grace is short, so that a process that will not end costs no time.
SUPERVISE = """
import os, sys
from dispatcher.processes.supervisor import Process, Supervisor
processes = [
    Process(name=name, command=command, env=dict(os.environ, MARK=sys.argv[1]), repairable=name != "page")
    for name, _, command in (argument.partition("=") for argument in sys.argv[2:])
]
sys.exit(Supervisor(processes, repair=lambda: print("repaired", flush=True), grace_s=0.5).run())
"""
STUBBORN = "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1000; done'"


def lines_until(process: "subprocess.Popen[str]", pattern: str) -> list[str]:
    """What the process prints, up to the first line with the pattern."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if re.search(pattern, line):
            return lines
    raise AssertionError(f"no {pattern!r} in {lines}")


def test_lines_come_after_their_process_name_and_an_ended_one_starts_again(start: Start, tmp_path: Path) -> None:
    supervisor = start(SUPERVISE, tmp_path, "one=sh -c 'echo hello; echo again >&2; exit 3'", "longer_name=sleep 1000")

    lines = lines_until(supervisor, "again in 0.2 s")

    assert lines[:2] == ["one         | hello", "one         | again"]
    assert "supervisor  | one ended with exit code 3; again in 0.1 s" in lines
    assert lines.count("one         | hello") == 2


def test_a_killed_process_comes_back(start: Start, tmp_path: Path) -> None:
    supervisor = start(SUPERVISE, tmp_path, "one=sh -c 'echo pid $$; exec sleep 1000'")
    pid = int(lines_until(supervisor, "pid")[-1].split()[-1])

    os.kill(pid, signal.SIGKILL)

    assert "one was ended by SIGKILL; again in 0.1 s" in lines_until(supervisor, "SIGKILL")[-1]
    assert int(lines_until(supervisor, "pid")[-1].split()[-1]) != pid


def test_the_third_crash_calls_for_repair(start: Start, tmp_path: Path) -> None:
    supervisor = start(SUPERVISE, tmp_path, "one=false", "two=sleep 1000")

    lines = lines_until(supervisor, "^repaired")

    assert sum("one ended with exit code 1" in line for line in lines) == 3


def test_only_a_repairable_process_calls_for_repair(start: Start, tmp_path: Path) -> None:
    supervisor = start(SUPERVISE, tmp_path, "page=false")
    lines_until(supervisor, "again in 0.4 s")

    supervisor.terminate()

    assert not any("repair" in line for line in lines_until(supervisor, "stopping"))
    assert supervisor.wait(10) == 0


def test_sigterm_and_ctrl_c_end_all_processes_in_order(start: Start, tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        supervisor = start(
            SUPERVISE, tmp_path, "one=sh -c 'trap \"echo bye; exit 0\" TERM; echo ready; while :; do sleep 0.05; done'"
        )
        lines_until(supervisor, "ready")

        supervisor.send_signal(number)

        assert lines_until(supervisor, "bye")
        assert supervisor.wait(10) == 0
        eventually(lambda: not processes_with(f"MARK={tmp_path}"))


def test_what_an_ended_process_leaves_behind_is_ended_too(start: Start, tmp_path: Path) -> None:
    supervisor = start(SUPERVISE, tmp_path, "one=sh -c 'sleep 1000 & echo left $!; exit 1'")
    left = int(lines_until(supervisor, "left")[-1].split()[-1])

    lines_until(supervisor, "again in")

    eventually(lambda: not is_alive(left))


def test_what_does_not_end_is_killed_after_the_grace(start: Start, tmp_path: Path) -> None:
    supervisor = start(SUPERVISE, tmp_path, f"one={STUBBORN}")
    lines_until(supervisor, "ready")

    supervisor.terminate()

    assert lines_until(supervisor, "one does not end; killed")
    assert supervisor.wait(10) == 1
    assert processes_with(f"MARK={tmp_path}") == []


def test_a_second_ctrl_c_kills_at_once(start: Start, tmp_path: Path) -> None:
    supervisor = start(SUPERVISE.replace("grace_s=0.5", "grace_s=1000"), tmp_path, f"one={STUBBORN}")
    lines_until(supervisor, "ready")

    supervisor.send_signal(signal.SIGINT)
    lines_until(supervisor, "stopping: one")
    supervisor.send_signal(signal.SIGINT)

    assert supervisor.wait(10) == 1
    assert processes_with(f"MARK={tmp_path}") == []


def test_a_sigkill_of_the_supervisor_leaves_nothing(start: Start, tmp_path: Path) -> None:
    supervisor = start(SUPERVISE, tmp_path, "one=sh -c 'echo ready; exec sleep 1000'", "two=sleep 1000")
    lines_until(supervisor, "ready")
    children = eventually(lambda: found if len(found := processes_with(f"MARK={tmp_path}")) == 2 else [])

    supervisor.kill()

    eventually(lambda: not any(map(is_alive, children)))


def test_much_output_without_a_line_end_comes_through_whole(start: Start, tmp_path: Path) -> None:
    supervisor = start(
        SUPERVISE, tmp_path, "one=sh -c 'head -c 300000 /dev/zero | tr \"\\0\" x; echo; echo done; sleep 9'"
    )

    lines = lines_until(supervisor, "done")

    assert sum(line.count("x") for line in lines) == 300_000


def test_a_reader_that_goes_away_stops_everything(start: Start, tmp_path: Path) -> None:
    supervisor = start(SUPERVISE, tmp_path, "one=sh -c 'while :; do echo x; sleep 0.05; done'")
    lines_until(supervisor, "x")
    assert supervisor.stdout is not None
    supervisor.stdout.close()

    supervisor.wait(10)

    assert processes_with(f"MARK={tmp_path}") == []
