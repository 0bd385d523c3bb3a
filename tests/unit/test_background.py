import os
import threading

import pytest

from dispatcher.background import BackgroundThread, DelayedTask
from tests.support.waiting import eventually


def test_it_starts_once_and_stops() -> None:
    runs = []

    def run(stop: threading.Event) -> None:
        runs.append(1)
        stop.wait()

    thread = BackgroundThread("test", run)

    assert thread.start()
    assert not thread.start()
    thread.stop(10)

    assert runs == [1]
    assert "test" not in [one.name for one in threading.enumerate()]


def wait(stop: threading.Event) -> None:
    stop.wait()


def test_it_starts_again_after_it_has_ended() -> None:
    thread = BackgroundThread("test", wait)
    thread.start()
    thread.stop(10)

    assert thread.start()
    thread.stop(10)


def test_it_stops_although_it_never_started() -> None:
    BackgroundThread("test", wait).stop(10)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # a pool that forks has threads, too
def test_it_starts_again_in_a_process_that_was_forked() -> None:
    thread = BackgroundThread("test", wait)
    thread.start()
    child = os.fork()
    if child == 0:
        os._exit(0 if thread.start() else 1)
    thread.stop(10)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_delayed_work_raises_is_logged_and_it_is_done_when_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[ValueError | bool] = [ValueError("no such thing"), False]
    done: list[ValueError | bool] = []

    def work() -> bool:
        done.append(outcome := outcomes[len(done)])
        if isinstance(outcome, ValueError):
            raise outcome
        return outcome

    task = DelayedTask("test", 0.0, work)
    task.ask()
    eventually(lambda: "no such thing" in caplog.text, 10, "the log")

    assert not task.ask(), "its thread runs"
    eventually(lambda: len(done) == 2, 10, "the second run")
    assert [record.message for record in caplog.records] == ["background.failed task=test"]
