"""How a command answers: a table or lines for people, JSON with `--json` for programs."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: Any) -> None:
    """`value` (dataclasses, lists, dicts) as indented JSON."""
    print(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table, or the sentence `empty` where there are no rows. Not cut to a width where it goes to a file."""
    lines = [[_text(cell) for cell in row] for row in rows]
    if not lines:
        print(empty)
        return
    from rich.console import Console  # not for those who print JSON, or nothing  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415 -- a command starts with what it needs

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for line in lines:
        table.add_row(*line)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def local_time(at: datetime) -> str:
    """As people read it, in the time zone of whoever asks: the same for every command, whatever the account's is."""
    return at.astimezone().isoformat(sep=" ", timespec="seconds")


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, UUID | Enum):
        return str(value)
    raise TypeError(f"cannot print a {type(value).__name__}")


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, datetime):
        return local_time(cell)
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return str(cell)
