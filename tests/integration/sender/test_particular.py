"""What only one of the two senders has to keep: its look-ups, its threads, its descriptors."""

import os
import resource
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from dispatcher.model.attempt import Status
from dispatcher.sender.contract import Limits, Request
from dispatcher.sender.curl import CurlSender
from dispatcher.sender.portable import RequestsSender
from tests.support.posting import LOOPBACK, collect, post
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually

NETWORKS = tuple(map(ip_network, LOOPBACK))


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Takes up all descriptors that select(2) can watch."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2_000), limits[1]))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    yield
    for descriptor in taken:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("many_descriptors")
def test_libcurl_works_above_the_descriptors_of_select(receiver: Receiver) -> None:
    sender = CurlSender(Limits(timeout_s=5, allowed_networks=NETWORKS))
    url = receiver.script("/hook", Answer(delay_s=0.1))

    result = post(sender, url)
    sender.close()

    assert result.status == "200"
    assert result.finished_s - result.started_s < 2


def test_libcurl_does_not_blame_the_receiver_for_our_lack_of_sockets(receiver: Receiver) -> None:
    sender = CurlSender(Limits(timeout_s=5, allowed_networks=NETWORKS))
    post(sender, "http://127.0.0.1:1/")  # so that what it needs itself is open
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))

    result = post(sender, receiver.url("/hook"))
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    sender.close()

    assert result.status == Status.UNKNOWN_ERROR


@pytest.mark.parametrize("sent", [True, False])
def test_libcurl_does_not_blame_the_receiver_for_a_stall_of_ours(receiver: Receiver, sent: bool) -> None:
    timeout_s = 0.4
    sender = CurlSender(Limits(timeout_s=timeout_s, allowed_networks=NETWORKS))
    sender.start(Request(tag=1, url=receiver.script("/hook", Answer(delay_s=0.1)), headers=(), body=b"{}"))
    if sent:  # the answer lies in the socket meanwhile; otherwise nothing has left yet
        sender.results(0)
        receiver.wait_for(1)

    stalled_until_s = time.monotonic() + 2 * timeout_s
    eventually(lambda: time.monotonic() > stalled_until_s, 10, "the end of a stall")  # as behind a Redis that hangs
    (result,) = collect(sender, 1)
    sender.close()

    assert result.status == "200"


def test_libcurl_gives_up_in_time_after_a_stall_of_ours(receiver: Receiver) -> None:
    sender = CurlSender(Limits(timeout_s=0.4, allowed_networks=NETWORKS))
    sender.start(Request(tag=1, url=receiver.script("/hook", Answer(delay_s=30)), headers=(), body=b"{}"))
    sender.results(0)

    stalled_until_s = time.monotonic() + 0.5
    eventually(lambda: time.monotonic() > stalled_until_s, 10, "the end of a stall")
    (result,) = collect(sender, 1)
    sender.close()

    assert result.status == Status.TIMEOUT
    assert result.finished_s - result.started_s < 10


def test_a_look_up_that_hangs_is_a_timeout_and_does_not_hold_close() -> None:
    answered = threading.Event()
    sender = RequestsSender(
        Limits(timeout_s=0.4, allowed_networks=NETWORKS), resolver=lambda _host: ["::1"] if answered.wait(20) else []
    )

    result = post(sender, "http://slow.test/")
    began_s = time.monotonic()
    sender.close()

    assert result.status == Status.TIMEOUT
    assert time.monotonic() - began_s < 10
    answered.set()


def test_no_thread_and_no_descriptor_is_left_behind(receiver: Receiver) -> None:
    # A first sender of each kind opens what libraries keep for the whole process.
    for kind in (CurlSender, RequestsSender):
        kind(Limits()).close()
    with receiver:
        threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for kind in (CurlSender, RequestsSender):
            sender = kind(Limits(timeout_s=1, allowed_networks=NETWORKS))
            url = receiver.script("/hook", Answer(close=True))
            for tag in range(20):
                sender.start(Request(tag=tag, url=url, headers=[], body=b""))
            collect(sender, 20)
            sender.close()

        def left() -> tuple[int, int]:
            return threading.active_count() - threads, len(os.listdir("/proc/self/fd")) - descriptors  # noqa: PTH208

        until = time.monotonic() + 15
        while left() > (0, 0) and time.monotonic() < until:
            threading.Event().wait(0.01)  # the receiver's threads end a moment after their connections
        assert left() <= (0, 0)
