"""A dispatcher whose alerts a test looks for and sends step by step, to a real mail server and a real receiver."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from dispatcher.alerts.channels import create_channel
from dispatcher.alerts.runner import Alerts
from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.model.alert import AlertChannel
from dispatcher.schedule.schedule import ALERTS
from dispatcher.settings import Settings
from dispatcher.storage.engine import Storage, rows
from tests.conftest import ShiftTime
from tests.support.fakes import FakeQueue
from tests.support.mail_server import MailServer
from tests.support.receiver import Receiver

MINUTE_S = 60


@pytest.fixture(scope="session")
def mail_server_of_session() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def mail_server(mail_server_of_session: MailServer) -> MailServer:
    mail_server_of_session.forget()
    return mail_server_of_session


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def settings(settings: Settings, mail_server: MailServer) -> Settings:
    return replace(
        settings,
        smtp_host="127.0.0.1",
        smtp_port=mail_server.port,
        smtp_tls="none",
        smtp_from="alerts@dispatcher.test",
        public_url="https://hooks.example.com/",
    )


@dataclass
class Told:
    """Looks for alerts and sends them, as a worker does."""

    container: Container
    queue: FakeQueue
    mail_server: MailServer
    shift_time: ShiftTime
    redis: Any
    at_s: float = 0.0

    @property
    def alerts(self) -> Alerts:
        return self.container.alerts

    def look_out(self) -> list[list[int]]:
        """The channels that would be told, by task."""
        self.queue.alerts.clear()
        self.redis.delete(ALERTS)  # as if nobody had looked lately
        self.alerts.check()
        return self.queue.alerts

    def tell(self) -> dict[str, int]:
        """One look-out and what follows from it; the sums of all tasks."""
        counts = {"sent": 0, "failed": 0}
        tasks = self.look_out()
        while tasks:
            for name, count in self.alerts.send(tasks.pop()).items():
                counts[name] += count
        return counts

    def later(self, minutes: float) -> None:
        """So many minutes go by."""
        self.at_s += minutes * MINUTE_S
        self.shift_time(self.at_s)

    def sql(self, sql: str, **parameters: Any) -> list[Any]:
        return [tuple(row) for row in self.container.storage.transact(rows, sql, **parameters)]

    def fails(self, *webhook_ids: int) -> None:
        """They fail from now on."""
        self.sql(
            "update dispatcher.webhooks set failing_since = dispatcher.now() where id = any (%(ids)s)",
            ids=list(webhook_ids),
        )

    def recovers(self, webhook_id: int) -> None:
        """A delivery to it has succeeded just now, and was counted."""
        self.sql("update dispatcher.webhooks set failing_since = null where id = %(id)s", id=webhook_id)
        self.sql(
            """insert into dispatcher.figures_by_hour as f (webhook_id, hour, delivered)
            values (%(id)s, date_trunc('hour', dispatcher.now()), 1)
            on conflict (webhook_id, hour) do update set delivered = f.delivered + 1""",
            id=webhook_id,
        )

    @property
    def subjects(self) -> list[str]:
        """Of the e-mails that came."""
        return [str(message["Subject"]).removeprefix("[Dispatcher] ") for message in self.mail_server.messages]


@pytest.fixture
def told(
    container: Container, queue: FakeQueue, mail_server: MailServer, shift_time: ShiftTime, redis_client: Any
) -> Told:
    return Told(container, queue, mail_server, shift_time, redis_client)


def a_channel(
    storage: Storage, account: Account | None, target: str = "ops@example.com", kind: str = "email", **given: Any
) -> AlertChannel:
    attributes = {"name": f"{kind} {target}"[-100:], "type": kind, "target": target, **given}
    return create_channel(storage, None if account is None else account.id, attributes)
