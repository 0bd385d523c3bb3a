"""`dispatcher serve`: the HTTP API."""

import click

from dispatcher import log
from dispatcher.cli.address import url_of
from dispatcher.current import current_container
from dispatcher.errors import ServiceStartFailed
from dispatcher.schemas import active


@click.command()
def serve() -> None:
    """Serve the HTTP API at http://127.0.0.1:8000.

    DISPATCHER_HOST and PORT change the address. Put a TLS proxy in front of it if others reach it. On SIGTERM it
    finishes open requests within 30 s.
    """
    settings = current_container().settings
    active()  # a catalogue that cannot be found stops the start
    address = url_of(settings.host, settings.port)
    from dispatcher.web import server  # loads the whole of it  # noqa: PLC0415

    try:
        server.run(settings, lambda: log.announce("web.started", address=address))
    except OSError as error:
        raise ServiceStartFailed(f"{address}: {error.strerror}") from error
