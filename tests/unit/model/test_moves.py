import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import IllegalTransition
from dispatcher.model.delivery import MOVES, State, check_move

LEGAL = {
    ("pending", "pending"),
    ("pending", "delivered"),
    ("pending", "failed"),
    ("pending", "cancelled"),
    ("pending", "superseded"),
    ("failed", "pending"),
    ("failed", "delivered"),
    ("delivered", "pending"),
    ("cancelled", "pending"),
    ("superseded", "pending"),
    ("cancelled", "delivered"),  # a POST was on its way when the webhook was deleted
}


@given(st.sampled_from(State), st.sampled_from(State))
def test_only_the_moves_of_the_table_are_legal(state, wanted):
    if (state.value, wanted.value) in LEGAL:
        check_move("7", state, wanted)
        return
    with pytest.raises(IllegalTransition) as caught:
        check_move("7", state, wanted)
    assert str(caught.value) == f"delivery 7 is {state} and cannot become {wanted}"


def test_every_state_has_its_moves():
    assert set(MOVES) == set(State)


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_what_is_finished_can_only_be_replayed_or_succeed_late(state):
    assert MOVES[state] <= {State.PENDING, State.DELIVERED}
