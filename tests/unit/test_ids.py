from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.ids import delivery_id_of


@given(st.integers(0, 2**62 - 1), st.integers(0, 2**48 - 1), st.integers(0, 4095))
def test_a_key_gives_its_delivery_back(delivery_id, milliseconds, random_bits):
    key = UUID(int=milliseconds << 80 | 7 << 76 | random_bits << 64 | 1 << 63 | delivery_id)

    assert key.version == 7
    assert delivery_id_of(key) == delivery_id
