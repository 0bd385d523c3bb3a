from datetime import UTC, datetime
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.ids import delivery_id_of, first_event_id, new_uuid7


@given(st.integers(0, 2**62 - 1), st.integers(0, 2**48 - 1), st.integers(0, 4095))
def test_a_key_gives_its_delivery_back(delivery_id: int, milliseconds: int, random_bits: int) -> None:
    key = UUID(int=milliseconds << 80 | 7 << 76 | random_bits << 64 | 1 << 63 | delivery_id)

    assert key.version == 7
    assert delivery_id_of(key) == delivery_id


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_a_key_of_ours_tells_its_millisecond(now: datetime) -> None:
    key = new_uuid7(now)

    assert (key.version, key.variant) == (7, RFC_4122)
    assert key.int >> 80 == int(now.timestamp() * 1000)
    assert new_uuid7(now) != key


def test_an_events_second_is_above_its_counter() -> None:
    assert first_event_id(datetime(2020, 1, 1, 0, 0, 2, 900_000, tzinfo=UTC)) == 2 << 23
    assert first_event_id(datetime(1, 1, 1, tzinfo=UTC)) == 0
