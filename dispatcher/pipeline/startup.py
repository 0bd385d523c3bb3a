"""What a worker checks before it takes work."""

from dispatcher.pipeline.event_types import EventTypes
from dispatcher.schedule.schedule import Schedule
from dispatcher.schemas import active
from dispatcher.storage import migrate
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Storage


def check(storage: Storage, schedule: Schedule, event_types: EventTypes) -> None:
    """Raises where a worker could only fail.

    That is: no such catalogue, migrations missing, a Redis that evicts keys, or the wrong secret keys.
    """
    active()
    migrate.check(storage)
    event_types.load()
    schedule.check()
    storage.read(webhooks.check_newest, storage.secrets)
