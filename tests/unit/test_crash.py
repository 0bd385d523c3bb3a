import pytest

from dispatcher import crash


def test_an_unarmed_point_does_nothing():
    for point in crash.POINTS:
        crash.reached(point)


def test_an_unknown_point_is_refused():
    with pytest.raises(ValueError, match="unknown crash point 'sometimes'; known: after_claim, "):
        crash.arm("sometimes")
