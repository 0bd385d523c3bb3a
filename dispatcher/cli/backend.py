"""What a command acts on: this installation's database, or the API of another machine's dispatcher.

Both give the same objects, as JSON, so a command prints the same either way.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import click

from dispatcher.settings import read_remote_settings

JSON = dict[str, Any]

account_option = click.option(
    "--account", "slug", metavar="SLUG", help="The account. With DISPATCHER_API it defaults to the client's own."
)


class Backend(Protocol):
    """`slug` is the account's; where it is None, the only one that can be meant, if there is one."""

    def create_webhook(self, slug: str | None, given: Mapping[str, Any]) -> JSON:
        """The new webhook, with its signing secret."""
        ...

    def webhooks(self, slug: str | None) -> list[JSON]:
        """All of the account, oldest first."""
        ...

    def webhook(self, slug: str | None, webhook_id: int) -> JSON:
        """One, with its signing secret."""
        ...

    def edit_webhook(self, slug: str | None, webhook_id: int, changes: Mapping[str, Any]) -> JSON:
        """The changed one, with its signing secret."""
        ...

    def delete_webhook(self, slug: str | None, webhook_id: int) -> None:
        """What waits for it is cancelled."""
        ...

    def ping(self, slug: str | None, webhook_id: int) -> JSON:
        """What came of a ping."""
        ...

    def rotate_secret(self, slug: str | None, webhook_id: int, previous_valid_for_s: int) -> JSON:
        """The new signing secret."""
        ...

    def deliveries(self, slug: str | None, wanted: Mapping[str, Any], limit: int) -> list[JSON]:
        """The newest `limit` of those that are `wanted`."""
        ...

    def delivery(self, slug: str | None, id_or_key: str) -> JSON:
        """One, with its attempts."""
        ...

    def replay(self, slug: str | None, id_or_key: str) -> JSON:
        """The same, pending again."""
        ...

    def start_replay(self, slug: str | None, given: Mapping[str, Any]) -> JSON:
        """A new replay of what is `given` (schemas.api.replay)."""
        ...

    def count_replay(self, slug: str | None, given: Mapping[str, Any]) -> int:
        """How many deliveries it would send."""
        ...

    def replays(self, slug: str | None) -> list[JSON]:
        """The newest of the account."""
        ...

    def replay_job(self, slug: str | None, replay_id: int) -> JSON:
        """One replay."""
        ...

    def stop_replay(self, slug: str | None, replay_id: int) -> JSON:
        """The same, stopped."""
        ...

    def resume_replay(self, slug: str | None, replay_id: int) -> JSON:
        """The same, running again."""
        ...

    def emit(self, slug: str | None, name: str, body: Mapping[str, Any], idempotency_key: str | None) -> JSON:
        """The stored event."""
        ...


def backend() -> Backend:
    """The one that the environment asks for; raises InvalidSetting. Only that one is loaded."""
    remote = read_remote_settings()
    if remote:
        from dispatcher.cli.remote import Remote  # noqa: PLC0415 -- a command starts with what it needs

        return Remote(remote)
    from dispatcher.cli.local import Local  # noqa: PLC0415 -- a command starts with what it needs
    from dispatcher.container import current_container  # noqa: PLC0415 -- a command starts with what it needs

    return Local(current_container())
