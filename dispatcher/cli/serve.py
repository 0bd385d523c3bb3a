"""`dispatcher serve`: the HTTP API, in gunicorn."""

import os
import resource
import sys
from contextlib import suppress

import click

from dispatcher import log
from dispatcher.cli.address import bracketed, url_of
from dispatcher.container import current_container
from dispatcher.environment import program_environment
from dispatcher.settings import Settings


@click.command()
def serve() -> None:
    """Serve the HTTP API at http://127.0.0.1:8000.

    DISPATCHER_HOST and PORT change the address. Put a TLS proxy in front of it if others reach it. On SIGTERM it
    finishes open requests within 30 s.
    """
    settings = current_container().settings
    log.announce("web.started", address=url_of(settings.host, settings.port))
    command = _command(settings)
    _raise_file_limit()
    os.execvpe(command[0], command, program_environment())  # noqa: S606 -- a program of ours, a list of arguments


def _raise_file_limit() -> None:
    """As many open files as the machine lets us: each connection is one, and the usual 1,024 is from another time."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1_048_576 if hard == resource.RLIM_INFINITY else hard
    with suppress(ValueError, OSError):  # macOS has a limit of its own below "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _command(settings: Settings) -> list[str]:
    return [
        sys.executable, "-m", "gunicorn",
        "--bind", f"{bracketed(settings.host)}:{settings.port}",
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
