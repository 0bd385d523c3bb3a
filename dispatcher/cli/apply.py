"""`dispatcher apply`: event types, accounts and webhooks as a YAML file describes them."""

from typing import IO, Any

import click
import yaml

from dispatcher.cli.yaml_file import read_yaml
from dispatcher.current import current_container
from dispatcher.errors import InvalidFile
from dispatcher.webhooks.apply import plan


@click.command()
@click.option(
    "-f", "--file", "file", type=click.File(encoding="utf-8"), required=True, help="The file; - is standard input."
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option(
    "--prune", is_flag=True, help="Delete webhooks that the list of their account does not have, but for its clients'."
)
def apply(file: IO[str], dry_run: bool, prune: bool) -> None:
    """Create and change event types, accounts and webhooks as a YAML file describes them. What is not named stays."""
    container, (document, node) = current_container(), read_yaml(file)
    try:
        changes = plan(container.storage, container.schedule, container.settings, document, prunes=prune)
    except InvalidFile as error:
        raise click.ClickException(f"{file.name}:{_line(node, error.path)}: {error}") from None
    for change in changes:
        print(f"{change.sign} {change.title}")
        for name, (before, after) in change.differences.items():
            print(f"    {name}: {after!r}" if change.sign == "+" else f"    {name}: {before!r} -> {after!r}")
        for note in change.notes:
            print(f"    {note}")
        if not dry_run:
            change.make()
    done = "would change" if dry_run else "changed"
    print(f"{len(changes)} {done}" if changes else "nothing to change")


def _line(node: Any, path: tuple[str | int, ...]) -> int:
    """Where the path leads, or as far as it leads."""
    line = node.start_mark.line if node is not None else 0
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
    return int(line) + 1
