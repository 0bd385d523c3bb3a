"""What a command acts on: this installation's database, or the API of another machine's dispatcher.

Both give the same objects, as JSON, so a command prints the same either way.
"""

from typing import TYPE_CHECKING, TypeAlias

from dispatcher.settings import read_remote_settings

if TYPE_CHECKING:
    from dispatcher.cli.local import LocalBackend
    from dispatcher.cli.remote import RemoteBackend

Backend: TypeAlias = "LocalBackend | RemoteBackend"
"""In their methods `slug` is the account's; where it is None, the only one that can be meant, if there is one."""


def backend() -> Backend:
    """The one that the environment asks for; raises InvalidSetting. Only that one is loaded."""
    remote = read_remote_settings()
    if remote:
        from dispatcher.cli.remote import RemoteBackend  # noqa: PLC0415 -- a command starts with what it needs

        return RemoteBackend(remote)
    from dispatcher.cli.local import LocalBackend  # noqa: PLC0415 -- a command starts with what it needs
    from dispatcher.current import current_container  # noqa: PLC0415 -- a command starts with what it needs

    return LocalBackend(current_container())
