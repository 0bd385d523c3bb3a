"""The container of this process: made from the environment when it is first asked for, or handed in."""

import threading

from dispatcher.container import Container
from dispatcher.producer import use_emitter
from dispatcher.schemas.active_catalogues import ask_by
from dispatcher.settings import read_settings

_current: Container | None = None
_lock = threading.Lock()


def current_container() -> Container:
    """This process's container, built from the environment when first asked for; raises InvalidSetting."""
    global _current
    with _lock:
        if _current is None:
            _current = Container(read_settings())
            _ask_of(_current)
        return _current


def use_container(container: Container | None) -> None:
    """Makes `container` this process's container: for a process that has its settings from elsewhere, and for tests."""
    global _current
    with _lock:
        _current = container
    use_emitter(None if container is None else lambda: container.emitter)
    _ask_of(container)


def _ask_of(container: Container | None) -> None:
    """Events that are unknown in this process are looked for among the stored ones."""
    ask_by(None if container is None else lambda name: container.event_types.ask(name))
