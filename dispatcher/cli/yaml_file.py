"""Files in YAML, or JSON, which is YAML too."""

from typing import IO, Any

import click
import yaml

_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """A key is text, as it is written, and stands once.

    An account whose id is 0123 or `no` would be 83 or False in YAML, and of two equal keys only the second would count.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                key.tag = "tag:yaml.org,2002:str"
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"{key.value} is there twice", problem_mark=key.start_mark)
                seen.add(key.value)
        return node


def read_yaml(file: IO[str]) -> tuple[Any, yaml.Node | None]:
    """What the file holds, and the node that knows the lines; fails with the mistake and its line."""
    text = file.read()
    try:
        return yaml.load(text, Loader=_Loader), yaml.compose(text, Loader=_Loader)  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        raise click.ClickException(f"{file.name}: {' '.join(str(error).split())}") from None
