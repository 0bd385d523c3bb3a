"""How a command answers: a table or lines for people, JSON with `--json` for programs."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

Column = str | Callable[[Any], object]
"""What a table shows of a record (a mapping or a dataclass): an attribute by its name, or a function of the record."""


def show(value: Any, as_json: bool, sentence: str) -> None:
    """`value` as JSON where the command has `--json`, else the sentence."""
    print_json(value) if as_json else print(sentence)


def show_list(records: Iterable[Any], as_json: bool, columns: Mapping[str, Column], *, empty: str) -> None:
    """Records as JSON where the command has `--json`, else as a table."""
    print_json(list(records)) if as_json else print_table(records, columns, empty=empty)


def show_attributes(record: Mapping[str, object], as_json: bool) -> None:
    """One record as JSON where the command has `--json`, else a line for each attribute."""
    if as_json:
        print_json(record)
        return
    for name, value in record.items():
        print(f"{name:24}{_text(value)}")


def print_json(value: Any) -> None:
    """`value` (dataclasses, lists, dicts) as indented JSON."""
    print(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def print_table(records: Iterable[Any], columns: Mapping[str, Column], *, empty: str) -> None:
    """A table, or the sentence `empty` where there are no records. Not cut to a width where it goes to a file."""
    lines = [[_text(_cell(record, column)) for column in columns.values()] for record in records]
    if not lines:
        print(empty)
        return
    from rich.console import Console  # not for those who print JSON, or nothing  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415 -- a command starts with what it needs

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for line in lines:
        table.add_row(*line)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def time_of(name: str) -> Column:
    """The column of an attribute that is a time in ISO 8601, or None."""
    return lambda record: record[name] and datetime.fromisoformat(record[name])


def local_time(at: datetime) -> str:
    """In the time zone of this machine: the same for every command, whatever the account's is."""
    return at.astimezone().isoformat(sep=" ", timespec="seconds")


def _cell(record: Any, column: Column) -> object:
    if callable(column):
        return column(record)
    return record[column] if isinstance(record, Mapping) else getattr(record, column)


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, UUID | Enum):
        return str(value)
    raise TypeError(f"cannot print a {type(value).__name__}")


def _text(value: object) -> str:
    match value:
        case None | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return local_time(value)
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return " ".join(map(str, value))
        case _:
            return str(value)
