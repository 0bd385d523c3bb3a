"""`dispatcher serve`: the HTTP API, in gunicorn."""

import os
import resource
import sys
from contextlib import suppress

import click

from dispatcher import log
from dispatcher.container import current_container
from dispatcher.processes.supervisor import environment_of
from dispatcher.settings import Settings


@click.command()
def serve() -> None:
    """Serve the HTTP API at http://127.0.0.1:8000.

    DISPATCHER_HOST and PORT change the address. Put a TLS proxy in front of it if others reach it. On SIGTERM it
    finishes open requests within 30 s.
    """
    settings = current_container().settings
    log.announce("web.started", address=api_address(settings.host, settings.port))
    command = _command(settings)
    _raise_file_limit()
    os.execvpe(command[0], command, environment_of(os.environ))  # noqa: S606 -- a program of ours, a list of arguments


def web_place() -> tuple[str, int]:
    """Address and port where `serve` will listen; raises click.UsageError (exit code 2) for a port that is none."""
    address = os.environ.get("DISPATCHER_HOST", "").strip() or "127.0.0.1"
    port = os.environ.get("PORT", "").strip() or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise click.UsageError("PORT: must be a port number between 1 and 65535")
    return address, int(port)


def api_address(host: str, port: int) -> str:
    """The URL of what listens there."""
    return f"http://{_bracketed(host)}:{port}"


def _raise_file_limit() -> None:
    """As many open files as the machine lets us: each connection is one, and the usual 1,024 is from another time."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1_048_576 if hard == resource.RLIM_INFINITY else hard
    with suppress(ValueError, OSError):  # macOS has a limit of its own below "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _command(settings: Settings) -> list[str]:
    return [
        sys.executable, "-m", "gunicorn",
        "--bind", f"{_bracketed(settings.host)}:{settings.port}",
        "--worker-class", "dispatcher.web.gunicorn_worker.Worker",
        "--workers", str(settings.web_workers),
        "--worker-connections", str(settings.web_connections),
        "--graceful-timeout", "30",
        "--forwarded-allow-ips", ",".join(map(str, settings.trusted_proxies)),
        "--limit-request-line", "8190",  # its own largest; longer ones it refuses in its own words
        "--keep-alive", "75",  # longer than the proxies before it keep an idle connection, which they would use again
        "--no-control-socket",  # a way in that nobody asked for, in a folder of its own in the user's home
        "--log-level", "warning",
        *(["--logger-class", "dispatcher.web.gunicorn_log.JsonLogger"] if settings.log_format == "json" else []),
        "dispatcher.web.asgi:load()",
    ]  # fmt: skip


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
