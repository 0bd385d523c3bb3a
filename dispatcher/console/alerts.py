"""Alert channels: of an account, for those who may change things there, and below /alerts of the operators."""

from collections.abc import Collection, Mapping
from typing import Any

from flask import Response, g, request
from werkzeug.exceptions import Forbidden, NotFound

from dispatcher.alerts import channels
from dispatcher.api.http import ROW_ID, container
from dispatcher.console.page import READ_ONLY, blueprint, page, person, redirect_to
from dispatcher.errors import InvalidAlertChannel, TooManyPings, TooManyTestAlerts
from dispatcher.model.alert import OF_ACCOUNTS, OF_OPERATORS, AlertChannel, AlertKind
from dispatcher.schemas.api.options import read_number
from dispatcher.storage.admin import alert_channels, users

_ALL, _ALL_OF_OPERATORS = "/accounts/<slug>/alerts", "/alerts"
_ONE, _ONE_OF_OPERATORS = (f"{path}/<{ROW_ID}:channel_id>" for path in (_ALL, _ALL_OF_OPERATORS))


@blueprint.route(_ALL, endpoint="alert_channels")
@blueprint.route(_ALL_OF_OPERATORS, endpoint="alert_channels")
def list_() -> Response:
    """All of them."""
    return _list()


@blueprint.route(f"{_ALL}/new", endpoint="new_alert_channel")
@blueprint.route(f"{_ALL_OF_OPERATORS}/new", endpoint="new_alert_channel")
def new() -> Response:
    """The empty form."""
    kinds = OF_OPERATORS if _account_id() is None else OF_ACCOUNTS
    minutes = channels.FAILING_AFTER_MINUTES
    return _form(None, {"type": "email", "alerts": kinds, "failing_after_minutes": minutes, "active": True}, {})


@blueprint.route(_ALL, methods=["POST"], endpoint="create_alert_channel")
@blueprint.route(_ALL_OF_OPERATORS, methods=["POST"], endpoint="create_alert_channel")
def create() -> Response:
    """A new channel, or the form with what is wrong. The signing secret of a webhook is shown only now."""
    attributes = _attributes() | {"type": request.form.get("type", "")}
    try:
        created = channels.create_channel(container().storage, _account_id(), attributes, addresses=_addresses())
    except InvalidAlertChannel as invalid:
        return _form(None, attributes, invalid.messages, 422)
    return _list(created=created) if created.signing_secret else redirect_to("alert_channels", "channel_created")


@blueprint.route(f"{_ONE}/edit", endpoint="edit_alert_channel")
@blueprint.route(f"{_ONE_OF_OPERATORS}/edit", endpoint="edit_alert_channel")
def edit(channel_id: int) -> Response:
    """The form with what it is now."""
    channel = _find(channel_id)
    values = {name: getattr(channel, name) for name in channels.WRITABLE} | {"target": channel.shown_target}
    return _form(channel, values, {})


@blueprint.route(f"{_ONE}/edit", methods=["POST"], endpoint="save_alert_channel")
@blueprint.route(f"{_ONE_OF_OPERATORS}/edit", methods=["POST"], endpoint="save_alert_channel")
def save(channel_id: int) -> Response:
    """Stores the form, or shows it with what is wrong."""
    channel, changes = _find(channel_id), _attributes()
    try:
        channels.edit_channel(container().storage, _account_id(), channel_id, changes, addresses=_addresses())
    except InvalidAlertChannel as invalid:
        return _form(channel, changes, invalid.messages, 422)
    return redirect_to("alert_channels", "channel_saved")


@blueprint.route(f"{_ONE}/test", methods=["POST"], endpoint="send_test_alert")
@blueprint.route(f"{_ONE_OF_OPERATORS}/test", methods=["POST"], endpoint="send_test_alert")
def send_test(channel_id: int) -> Response:
    """Sends a test, and says what became of it."""
    parts, account_id = container(), _account_id()
    try:
        with parts.pinger.slots.acquire(f"alerts:{account_id}"):
            error = channels.send_test(parts.storage, parts.senders, parts.settings, account_id, channel_id)
    except (TooManyPings, TooManyTestAlerts) as too_many:
        return _list(503, problem=str(too_many))
    return _list(problem=f"The test was not sent: {error}") if error else redirect_to("alert_channels", "test_sent")


@blueprint.route(f"{_ONE}/delete", methods=["POST"], endpoint="delete_alert_channel")
@blueprint.route(f"{_ONE_OF_OPERATORS}/delete", methods=["POST"], endpoint="delete_alert_channel")
def delete(channel_id: int) -> Response:
    """Deletes it."""
    channels.delete_channel(container().storage, _account_id(), channel_id)
    return redirect_to("alert_channels", "channel_deleted")


def _account_id() -> int | None:
    """Of the page; None: the operators'. Raises NotFound, or Forbidden for read-only users: these are addresses."""
    if g.account is None and person().account is not None:
        raise NotFound
    if not person().may_write:
        raise Forbidden(READ_ONLY)
    return None if g.account is None else int(g.account.id)


def _addresses() -> Collection[str] | None:
    """Those that the viewer may set; None: any (`dispatcher.alerts.channels`)."""
    if person().account is None:
        return None
    return [user.email for user in container().storage.read(users.list_for_account, g.account.id)]


def _find(channel_id: int) -> AlertChannel:
    storage = container().storage
    return storage.read(alert_channels.find, storage.secrets, _account_id(), channel_id)


def _list(status: int = 200, **result: Any) -> Response:
    storage = container().storage
    some = storage.read(alert_channels.list_all, storage.secrets, _account_id())
    return page("alert_channels.html", status, channels=some, mails=bool(container().settings.smtp_host), **result)


def _form(
    channel: AlertChannel | None, values: Mapping[str, Any], problems: Mapping[str, Any], status: int = 200
) -> Response:
    kinds = [kind for kind in AlertKind if _account_id() is None or kind in OF_ACCOUNTS]
    shown = {"values": values, "problems": problems, "kinds": kinds, "addresses": _addresses() or ()}
    return page("alert_channel_form.html", status, channel=channel, **shown)


def _attributes() -> dict[str, Any]:
    form = request.form
    return {
        "name": form.get("name", "").strip(),
        "target": form.get("target", "").strip(),
        "alerts": form.getlist("alerts"),
        "failing_after_minutes": read_number(form.get("failing_after_minutes", "")),
        "active": bool(form.get("active")),
    }
