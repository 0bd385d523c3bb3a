"""`dispatcher erase`: a person's payloads go, from all days; the records of their deliveries stay."""

import json
import math
from typing import IO, Any

import click

from dispatcher.cli.options import json_option
from dispatcher.cli.output import print_json, show_list
from dispatcher.container import Container
from dispatcher.current import current_container
from dispatcher.errors import AccountNotFound
from dispatcher.pipeline import erasures
from dispatcher.representations import erasure_json
from dispatcher.storage.admin import accounts
from dispatcher.storage.admin import erasures as stored
from dispatcher.storage.admin.erasures import Erasure


@click.command()
@click.option("--account", "slug", metavar="SLUG", help="The account whose events are meant.")
@click.option("--subject", "subjects", multiple=True, metavar="ID", help="The id of a person. May be repeated.")
@click.option(
    "--digest", "digests", multiple=True, metavar="HEX", help="The same, by the digest of an earlier erasure."
)
@click.option(
    "--list", "as_list", is_flag=True, help="List whom finished erasures erased, by digest, and erase nobody."
)
@click.option(
    "--again", type=click.File(encoding="utf-8"), metavar="FILE",
    help="Erase again whom the output of `--list --json` names: after a restore. - is standard input.",
)  # fmt: skip
@json_option
def erase(
    slug: str | None, subjects: tuple[str, ...], digests: tuple[str, ...], as_list: bool, again: IO[str] | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Erase the payloads of a person: bodies of events, and responses. What is pending is cancelled.

    Event types say by `subjects` where in a body the ids of persons stand. A command that was killed is run again, or
    left to the workers, which go on within an hour. Whom it erased is in the audit log, as a digest.
    """
    container = current_container()
    container.event_types.load()
    if as_list:
        columns = {"account": "account", "digest": "digest", "finished": "finished_at"}
        show_list(container.storage.read(stored.finished), as_json, columns, empty="no erasures")
    elif again is not None:
        for one in json.load(again):
            _run_again(container, one, as_json)
    elif slug is None or not subjects + digests:
        raise click.UsageError("Give --account, and --subject or --digest.")
    else:
        account = container.storage.read(accounts.find, slug)
        for subject in subjects:
            _run(container, erasures.request(container.storage, account.id, subject=subject), as_json)
        for digest in digests:
            _run(container, erasures.request(container.storage, account.id, digest=digest), as_json)


def _run_again(container: Container, one: dict[str, Any], as_json: bool) -> None:
    try:
        account = container.storage.read(accounts.find, one["account"])
    except AccountNotFound as error:  # with all of its events
        click.echo(f"{error}: skipped", err=True)
        return
    _run(container, erasures.request(container.storage, account.id, digest=one["digest"]), as_json)


def _run(container: Container, erasure: Erasure, as_json: bool) -> None:
    def show(at: Erasure) -> None:
        if as_json and at.finished_at:
            print_json(erasure_json(at))
        elif not as_json:
            print(_sentence(at), flush=True)

    erasures.run(container.storage, container.settings.outboxes, erasure, math.inf, show)


def _sentence(at: Erasure) -> str:
    state = "finished" if at.finished_at else f"at event {at.reached}"
    return (
        f"erasure {at.id} {state}: payloads of {at.events} events and {at.attempts} responses erased,"
        f" {at.cancelled} pending cancelled"
    )
