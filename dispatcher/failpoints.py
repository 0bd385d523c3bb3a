"""Points at which a test may kill the process. Inert unless `arm` was called with DISPATCHER_FAILPOINT's value."""

import os

POINTS = frozenset(
    {
        "before_commit",  # the producer dies before its transaction is committed
        "after_commit",  # the event is stored, its emitter does not know
        "before_response_commit",  # a POST with an Idempotency-Key is done and its response stored, and not committed
        "after_response_commit",  # both are committed, the client does not know
        "before_intake_commit",  # events of an outbox are stored, and not committed
        "after_intake_commit",  # they are committed, and still in the outbox
        "after_outbox_delete",  # they are deleted there, and the dispatcher still believes that they may be there
        "after_fan_out",  # deliveries are stored, the schedule does not have them
        "after_take",  # webhooks were taken from the schedule, no `deliver` was sent
        "after_claim",  # leased, nothing sent
        "before_send",  # the first request is ready
        "after_send",  # the first answer is in
        "before_record",  # results are judged, none is stored
        "after_erasure_batch",  # some payloads of a person are erased, others are not
        "after_record",  # results are stored, the webhook is still held
    }
)

_armed = ""


def arm(point: str) -> None:
    """Makes `hit(point)` kill this process; "" disarms."""
    global _armed
    if point and point not in POINTS:
        raise ValueError(f"unknown failpoint {point!r}; known: {', '.join(sorted(POINTS))}")
    _armed = point


def hit(point: str) -> None:
    """Dies as by `kill -9` if `point` is armed: no handler, no `finally`, no flush."""
    if _armed == point:
        import signal  # noqa: PLC0415 -- a process that emits does without it

        os.kill(os.getpid(), signal.SIGKILL)
