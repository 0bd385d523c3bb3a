from dispatcher.model.delivery import State
from schemas.api.delivery import DeliverySchema


def test_a_delivery_has_the_states_that_there_are() -> None:
    assert DeliverySchema().fields["state"].choices == set(State)
