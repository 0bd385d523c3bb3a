"""Where a server listens, as a host and a port and as a URL."""

import click

from dispatcher.environment import variable


def web_address() -> tuple[str, int]:
    """Host and port where `serve` will listen; raises click.UsageError (exit code 2) for an invalid port."""
    return _address("DISPATCHER_HOST", "PORT", "8000")


def flower_address() -> tuple[str, int]:
    """Host and port where Flower will listen; raises click.UsageError (exit code 2) for an invalid port."""
    return _address("FLOWER_ADDRESS", "FLOWER_PORT", "5555")


def _address(host_variable: str, port_variable: str, default: str) -> tuple[str, int]:
    port = variable(port_variable) or default
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise click.UsageError(f"{port_variable}: must be a port number between 1 and 65535")
    return variable(host_variable) or "127.0.0.1", int(port)


def bracketed(host: str) -> str:
    """The host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def url_of(host: str, port: int) -> str:
    """The URL of what listens there."""
    return f"http://{bracketed(host)}:{port}"
