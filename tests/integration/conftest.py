"""Parts for tests of the storage and of the flow."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import forked
from tests.support.builders import a_webhook, an_account
from tests.support.fakes import FakeQueue


@pytest.fixture(scope="session")
def forking() -> Iterator[None]:
    """Web servers that start meanwhile are forked."""
    with forked.running():
        yield


@pytest.fixture
def account(storage: Any) -> Any:
    return an_account(storage)


@pytest.fixture
def webhook(storage: Any, account: Any) -> Any:
    """Wants `invoice_paid`."""
    return a_webhook(storage, account)


@pytest.fixture
def queue(container: Any) -> FakeQueue:
    """Takes the place of the broker in `own`."""
    container.queue = FakeQueue()
    return container.queue
