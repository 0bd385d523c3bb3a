"""What is done with a webhook: a ping, its signing secret, a pause, its end. Secrets are shown on demand only."""

from flask import Response

from dispatcher.api.http import ROW_ID, container
from dispatcher.console.page import account, blueprint, is_part, page, redirect_to, visible
from dispatcher.console.webhooks import webhook_page
from dispatcher.errors import TooManyPings
from dispatcher.model.webhook import SigningSecret
from dispatcher.webhooks import edit, secrets

_ONE = f"/accounts/<slug>/webhooks/<{ROW_ID}:webhook_id>"


@blueprint.route(f"{_ONE}/ping", methods=["POST"])
def ping(webhook_id: int) -> Response:
    """Sends a ping and shows the response."""
    try:
        pinged = visible(container().pinger.ping(account().slug, webhook_id))
    except TooManyPings as error:
        problem = str(error)
        return page("ping.html", problem=problem) if is_part() else webhook_page(webhook_id, 503, ping_problem=problem)
    return page("ping.html", ping=pinged) if is_part() else webhook_page(webhook_id, ping=pinged)


@blueprint.route(f"{_ONE}/secret", methods=["POST"])
def reveal_secret(webhook_id: int) -> Response:
    """The signing secret."""
    return _secret(webhook_id, secrets.show(container().storage, account().id, webhook_id))


@blueprint.route(f"{_ONE}/secret/rotate", methods=["POST"])
def rotate_secret(webhook_id: int) -> Response:
    """A new signing secret; the previous one also signs for a day."""
    return _secret(webhook_id, secrets.rotate(container().storage, account().id, webhook_id))


@blueprint.route(f"{_ONE}/pause", methods=["POST"])
def pause(webhook_id: int) -> Response:
    """Makes it inactive."""
    _set_active(webhook_id, False)
    return redirect_to("webhook", "paused", webhook_id=webhook_id)


@blueprint.route(f"{_ONE}/activate", methods=["POST"])
def activate(webhook_id: int) -> Response:
    """Makes it active; its pending deliveries resume."""
    _set_active(webhook_id, True)
    return redirect_to("webhook", "activated", webhook_id=webhook_id)


@blueprint.route(f"{_ONE}/delete", methods=["POST"])
def delete_webhook(webhook_id: int) -> Response:
    """Deletes it; its pending deliveries are cancelled."""
    edit.delete_webhook(container().storage, account().slug, webhook_id)
    return redirect_to("webhooks", "deleted")


def _set_active(webhook_id: int, active: bool) -> None:
    edit.edit_webhook(container().storage, container().schedule, account().slug, webhook_id, {"active": active})


def _secret(webhook_id: int, secret: SigningSecret) -> Response:
    return page("secret.html", secret=secret) if is_part() else webhook_page(webhook_id, secret=secret)
