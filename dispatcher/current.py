"""The container of this process: built from the environment when first asked for, or set by `use_container`."""

import threading

from dispatcher.container import Container
from dispatcher.producer import use_emitter
from dispatcher.schemas.active_catalogues import use_lookup
from dispatcher.settings import read_settings

_current: Container | None = None
_lock = threading.Lock()


def current_container() -> Container:
    """This process's container, built from the environment when first asked for; raises InvalidSetting."""
    global _current
    with _lock:
        if _current is None:
            _current = Container(read_settings())
            _use_lookup_of(_current)
        return _current


def use_container(container: Container | None) -> None:
    """Makes `container` this process's container: for a process that has its settings from elsewhere, and for tests."""
    global _current
    with _lock:
        _current = container
    use_emitter(None if container is None else lambda: container.emitter)
    _use_lookup_of(container)


def _use_lookup_of(container: Container | None) -> None:
    """Event types that this process does not know are read from the database."""
    use_lookup(None if container is None else lambda name: container.event_types.ask(name))
