from dispatcher.model.delivery import TRANSITIONS, State
from tests.support.cases import each


def test_every_state_has_its_moves() -> None:
    assert set(TRANSITIONS) == set(State)


@each("state", [state for state in State if state is not State.PENDING])
def test_what_is_finished_can_only_be_replayed_or_succeed_late(state: State) -> None:
    assert TRANSITIONS[state] == {State.PENDING, State.DELIVERED}


def test_what_is_pending_may_become_anything() -> None:
    assert TRANSITIONS[State.PENDING] == set(State)
