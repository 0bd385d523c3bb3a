"""Logs: one line a step, `event key=value ...`, or the same in JSON. Ids always; payloads, headers and URLs never.

An emitting service's own logging is left alone: nothing here is set up by `emit`.
"""

import json
import logging
import sys
from datetime import UTC, datetime

_is_json = False


class LogLine(str):
    """`event key=value ...` that remembers its parts."""

    event: str
    fields: dict[str, object]


def line(event: str, **fields: object) -> LogLine:
    """`event` and its fields as one line, whatever they hold; a field that is None is left out."""
    present = {name: value for name, value in fields.items() if value is not None}
    text = LogLine(" ".join([event, *(f"{name}={_on_one_line(value)}" for name, value in present.items())]))
    text.event, text.fields = event, present
    return text


def _on_one_line(value: object) -> str:
    """A value that cannot end its line, nor, by a blank and a `=`, look like a further field: quoted where it might."""
    text = str(value)
    is_plain = text.isprintable() and not (" " in text and "=" in text and text[0] not in "'\"[")
    return text if is_plain else repr(text)


def announce(event: str, **fields: object) -> None:
    """What a command says on standard output as it starts, in the format that was set up."""
    text = line(event, **fields)
    print(_json({"time": _time(None), "event": event} | text.fields) if _is_json else text, flush=True)  # noqa: T201 -- printed at any level


def set_up(level: str, form: str = "text") -> None:
    """Sends every logger's lines of `level` and above to standard error, as `text` or `json`."""
    global _is_json
    _is_json = form == "json"
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(JsonFormatter() if _is_json else text)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What a task did is in our own lines and in Flower; Celery would add two for each.
    for name in (
        "urllib3",
        "amqp",
        "kombu",
        "alembic",
        "celery.bootsteps",
        "celery.worker.strategy",
        "celery.app.trace",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """An object a line: `time`, `level`, `logger`, `event` and the step's fields.

    Of lines that are not ours `event` is their text. An exception is in `exception`, its line breaks escaped.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry: dict[str, object] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if isinstance(record.msg, LogLine):
            fields = {f"{name}_" if name in entry else name: value for name, value in record.msg.fields.items()}
            entry |= {"event": record.msg.event} | fields
        else:
            entry["event"] = record.getMessage()
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return _json(entry)


def _time(seconds: float | None) -> str:
    at = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds")


def _json(entry: dict[str, object]) -> str:
    return json.dumps(entry, default=str, ensure_ascii=False)
