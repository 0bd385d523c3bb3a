"""A customer's session in the portal: the console of one account, opened by a link and without a password."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dispatcher.model.account import Account

ROLES = ("read", "manage")


@dataclass(frozen=True, kw_only=True, slots=True)
class PortalSession:
    """A link that was not used yet (`started_at` None), or the session that it started."""

    id: int
    role: str
    label: str | None
    """Whose session it is, in the company's words; for the audit log."""
    return_url: str | None
    created_at: datetime
    started_at: datetime | None
    ends_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class PortalView:
    """What a page of the portal needs to know of its session."""

    id: int
    account: Account
    role: str
    label: str | None
    return_url: str | None
    is_started: bool
    theme: Mapping[str, str]
    """The account's, with what the link has set; see `PortalThemeSchema`."""
    frame_ancestors: Sequence[str]
    """Origins whose pages may frame the portal."""
