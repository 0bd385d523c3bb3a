import pytest

from dispatcher import failpoints


def test_an_unarmed_point_does_nothing() -> None:
    for point in failpoints.POINTS:
        failpoints.hit(point)


def test_an_unknown_point_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown failpoint 'sometimes'; known: after_claim, "):
        failpoints.arm("sometimes")
