"""Pauses between restarts, and when to repair."""

from dispatcher.processes.restarts import Restarts


def crash(restarts: Restarts, at_s: float, *, ran_s: float = 0.1, crashed: bool = True) -> tuple[float, bool]:
    return restarts.record(started_s=at_s - ran_s, ended_s=at_s, crashed=crashed)


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    restarts = Restarts()

    pauses = [crash(restarts, at_s=number * 30.0)[0] for number in range(10)]

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]


def test_a_minute_of_running_makes_the_pause_short_again() -> None:
    restarts = Restarts()
    for number in range(5):
        crash(restarts, at_s=float(number))

    assert crash(restarts, at_s=100.0, ran_s=59.9)[0] == 3.2
    assert crash(restarts, at_s=200.0, ran_s=60.0)[0] == 0.1


def test_the_third_crash_within_a_minute_repairs_and_the_fourth_does_not() -> None:
    restarts = Restarts()

    assert [crash(restarts, at_s=at_s)[1] for at_s in (0.0, 1.0, 3.0, 6.0, 12.0)] == [False, False, True, False, False]


def test_crashes_far_apart_do_not_repair() -> None:
    restarts = Restarts()

    assert not any(crash(restarts, at_s=number * 31.0)[1] for number in range(10))


def test_an_ending_without_a_fault_is_no_crash() -> None:
    restarts = Restarts()

    assert not any(crash(restarts, at_s=float(number), crashed=False)[1] for number in range(10))


def test_a_new_burst_after_a_steady_minute_repairs_again() -> None:
    restarts = Restarts()
    for at_s in (0.0, 1.0, 2.0):
        crash(restarts, at_s=at_s)

    assert [
        crash(restarts, at_s=at_s, ran_s=ran_s)[1] for at_s, ran_s in ((100.0, 90.0), (101.0, 0.1), (102.0, 0.1))
    ] == [
        False,
        False,
        True,
    ]
