"""The Procfile: `name: command`, one a line. It names the processes; it starts none."""

import re

from dispatcher.errors import ServiceStartFailed

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*?)\s*$")


def parse_procfile(text: str) -> dict[str, str]:
    """Name → command, in the order of the lines; raises ServiceStartFailed for a malformed line or a repeated name."""
    commands: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise ServiceStartFailed(f"Procfile, line {number}: expected `name: command`")
        name, command = match.groups()
        if name in commands:
            raise ServiceStartFailed(f"Procfile, line {number}: duplicate name {name}")
        commands[name] = command
    return commands
