"""A ping, without the API: what it leaves behind. What it sends and tells is tested with the API."""

from contextlib import ExitStack

import pytest

from dispatcher.container import Container
from dispatcher.errors import TooManyPings, WebhookNotFound
from dispatcher.model.account import Account
from dispatcher.storage.engine import Storage
from tests.support.builders import a_webhook
from tests.support.receiver import Receiver


def test_a_sender_goes_back_to_the_shelf_whatever_came_of_the_ping(
    container: Container, storage: Storage, account: Account, receiver: Receiver
) -> None:
    hook = a_webhook(storage, account, receiver.url())
    sender = container.senders.borrow()
    container.senders.give_back(sender)

    with pytest.raises(WebhookNotFound):
        container.pinger.ping("applecorp", hook.id + 1)
    assert container.pinger.ping("applecorp", hook.id).response_status == "200"
    assert container.senders.borrow() is sender


def test_one_ping_too_many_is_refused_and_the_next_is_not(
    container: Container, storage: Storage, account: Account, receiver: Receiver
) -> None:
    hook = a_webhook(storage, account, receiver.url())

    with ExitStack() as taken:
        for slug in ("others", "others", "applecorp", "more"):
            taken.enter_context(container.pinger.slots.acquire(slug))
        with pytest.raises(TooManyPings):
            container.pinger.ping("applecorp", hook.id)
    assert container.pinger.ping("applecorp", hook.id).response_status == "200"


def test_one_account_leaves_places_to_the_others(
    container: Container, storage: Storage, account: Account, receiver: Receiver
) -> None:
    hook = a_webhook(storage, account, receiver.url())

    with ExitStack() as taken:
        for _ in range(container.settings.web_threads // 4):
            taken.enter_context(container.pinger.slots.acquire("others"))
        with pytest.raises(TooManyPings), container.pinger.slots.acquire("others"):
            pass
        assert container.pinger.ping("applecorp", hook.id).response_status == "200"
