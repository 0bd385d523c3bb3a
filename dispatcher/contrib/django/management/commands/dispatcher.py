"""`manage.py dispatcher ...`: the `dispatcher` command, on Django's database."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from dispatcher.cli import main


class Command(BaseCommand):
    """Takes what `dispatcher --help` lists."""

    help = "The dispatcher's own command on this project's database: manage.py dispatcher status"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """All of them are the dispatcher's."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def run_from_argv(self, argv: list[str]) -> None:
        """Its options, such as `--json` and `--help`, are not Django's."""
        main(argv[2:], prog_name="manage.py dispatcher")

    def handle(self, *args: Any, **options: Any) -> None:
        """For `call_command("dispatcher", "status")`."""
        main(options["arguments"], prog_name="manage.py dispatcher", standalone_mode=False)
