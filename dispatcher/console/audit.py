"""The audit log of an account, for those who may change things there; operators see all of it, too."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response
from werkzeug.exceptions import Forbidden, NotFound

from dispatcher.api.http import container
from dispatcher.api.query import PAGE_SIZE, cursor
from dispatcher.console import filters
from dispatcher.console.page import account, blueprint, in_portal, page, person
from dispatcher.storage.admin import audit


@blueprint.route("/accounts/<slug>/audit-log", endpoint="audit_log")
def of_account() -> Response:
    """40 a page, newest first."""
    if not person().may_write:
        raise Forbidden("Only people who may change things in this account see who did.")
    return _page("audit_log", account().id)


@blueprint.route("/audit-log", endpoint="audit_log_of_all")
def of_all() -> Response:
    """The same of all accounts, and of what belongs to none."""
    if person().account is not None:
        raise NotFound
    return _page("audit_log_of_all", None)


def _page(endpoint: str, account_id: int | None) -> Response:
    problems: dict[str, str] = {}
    narrowed: dict[str, Any] = {name: filters.field(name, _text, problems) for name in ("who", "action")}
    if in_portal():  # customers do not see who of the provider acts, nor try names here
        narrowed["who"] = None
    narrowed |= {name: filters.field(name, filters.local_moment, problems) for name in ("since", "until")}
    criteria = AuditFilter(**narrowed, problems=problems)
    entries, before = ([], None) if problems else container().storage.read(
        audit.search, account_id=account_id, before=cursor(), limit=PAGE_SIZE, **narrowed
    )  # fmt: skip
    return page("audit_log.html", entries=entries, endpoint=endpoint, before=before, filter=criteria, scan=audit.SCAN)


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFilter:
    """The form, checked. `problems`: field → what is wrong with it."""

    who: str | None
    action: str | None
    since: datetime | None
    until: datetime | None
    problems: Mapping[str, str]

    @property
    def query(self) -> dict[str, str]:
        """For links to the same list, without the place in it."""
        return filters.query()

    @property
    def is_empty(self) -> bool:
        """Whether everything is shown."""
        return not self.query


def _text(text: str) -> str:
    return text[:200]
