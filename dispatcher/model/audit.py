"""Who does what: the actor of what this thread does now, and an entry of the audit log."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """`kind`: user, client, service_token, portal_session, command (`name`: who, and where), system (a worker)."""

    kind: str
    id: int | None = None
    """Of the row; None where there is none."""
    name: str


SYSTEM = Actor(kind="system", name="dispatcher")
acting: ContextVar[Actor] = ContextVar("acting", default=SYSTEM)
"""Set by each front door, once it knows who calls."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """What was done: `action` such as `webhook.created`, `subject` the id of the webhook. No secret is in `details`."""

    id: int
    created_at: datetime
    account: str | None
    """The company's id of it."""
    actor: Actor
    action: str
    subject: str
    details: Mapping[str, Any]
