"""A catalogue or an event that is refused, and how what was wrong is written."""

from collections.abc import Sequence
from traceback import extract_tb

from marshmallow import ValidationError

_SHOWN = 5
_NAME_LIMIT = 200


class InvalidCatalogue(ValueError):
    """A catalogue cannot be used: what is wrong with it, for its author."""


class InvalidEvent(ValueError):
    """An event is refused. `problems` holds (path, reason) pairs; values are never repeated."""

    def __init__(self, event_name: str, problems: Sequence[tuple[str, str]]) -> None:
        self.event_name = event_name
        self.problems = tuple(problems)
        shown = "; ".join(f"{plain(path)}: {reason}" if path else reason for path, reason in self.problems[:_SHOWN])
        more = f"; and {len(self.problems) - _SHOWN} more" if len(self.problems) > _SHOWN else ""
        super().__init__(f"{plain(event_name)}: {shown}{more}")


class DowngradeFailed(ValueError):
    """The body of a stored event cannot be made one of the older version that a webhook is pinned to.

    `reason` holds no value of the body.
    """

    def __init__(self, event_name: str, version: int, older: int, reason: str) -> None:
        super().__init__(f"version {version} of {event_name} cannot be made version {older}: {reason}")

    @property
    def place(self) -> str | None:
        """Where a company's own code failed, for its author: `webhooks.py:42`."""
        cause = self.__cause__
        frames = extract_tb(cause.__traceback__) if cause is not None else ()
        return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else None


def plain(name: str) -> str:
    """A caller's name on one printable line: a lone surrogate could not be logged, a newline would forge a line."""
    text = str(name)  # an untyped caller's None is refused like any unknown name
    if len(text) > _NAME_LIMIT:
        text = f"{text[:_NAME_LIMIT]}..."
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def texts_by_field(error: ValidationError) -> dict[str, list[str]]:
    """Field → marshmallow's messages."""
    return {field: texts(messages) for field, messages in error.normalized_messages().items()}


def texts(messages: object) -> list[str]:
    """Marshmallow's messages of one field, flat: those of a list's items come as a dict by index."""
    if isinstance(messages, dict):
        return list(dict.fromkeys(text for inner in messages.values() for text in texts(inner)))
    return [str(text) for text in messages] if isinstance(messages, list) else [str(messages)]
