from dispatcher.model.attempt import Status
from dispatcher.model.counters import BOUNDS_S, OUTCOMES, bucket, outcome
from tests.support.cases import each


@each(
    ("status", "expected"),
    [("200", "2xx"), ("301", "3xx"), ("429", "4xx"), ("503", "5xx"), ("999", "other"), (Status.TIMEOUT, "timeout")],
)
def test_an_attempt_counts_under_its_class_or_its_reason(status: str, expected: str) -> None:
    assert outcome(status) == expected


def test_there_are_few_outcomes_whatever_receivers_answer() -> None:
    found = {outcome(str(code)) for code in range(100, 1000)} | {outcome(status) for status in Status}

    assert found <= set(OUTCOMES)


def test_a_time_on_a_bound_belongs_to_its_bucket_and_the_last_has_no_end() -> None:
    assert [bucket(bound) for bound in BOUNDS_S] == list(range(len(BOUNDS_S)))
    assert bucket(BOUNDS_S[-1] + 1) == len(BOUNDS_S)
