from typing import Any

from dispatcher.model.delivery import State
from dispatcher.schemas.api.delivery import DeliverySchema


def test_a_delivery_has_the_states_that_there_are() -> None:
    state: Any = DeliverySchema().fields["state"]
    assert state.choices == set(State)
