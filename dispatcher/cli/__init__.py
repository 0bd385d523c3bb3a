"""The `dispatcher` command."""

from dispatcher.cli.root import main

__all__ = ["main"]
