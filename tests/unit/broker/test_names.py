from dispatcher.broker.names import CHUNK_MAX, acceptable


def test_a_message_names_webhooks_by_ids_of_postgres() -> None:
    assert acceptable([1, 2**31 - 1]) == [1, 2**31 - 1]
    assert acceptable([0, -1, 2**31, 2**40, 2**70, "7", None, True, 1.0, {}, [3]]) == []


def test_a_message_names_no_more_webhooks_than_ours_do() -> None:
    assert acceptable(range(1, 100_001)) == list(range(1, CHUNK_MAX + 1))
