"""The audit log of an account, for those who may change things there; operators see all of it, too."""

from flask import Response
from werkzeug.exceptions import Forbidden, NotFound

from dispatcher.api.http import container
from dispatcher.api.query import PAGE_SIZE, cursor
from dispatcher.console import filters
from dispatcher.console.page import account, blueprint, page, person
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
    records = container().storage.read(audit.page, account_id=account_id, before=cursor(), limit=PAGE_SIZE + 1)
    entries, has_more = filters.split_page(records)
    return page("audit_log.html", entries=entries, endpoint=endpoint, before=entries[-1].id if has_more else None)
