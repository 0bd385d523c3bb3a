"""What is done with a webhook: a ping, its signing secret, a pause, its end. Secrets are shown on demand only."""

from flask import Response

from dispatcher.api.parts import ROW_ID, container
from dispatcher.console.page import account, blueprint, for_eyes_of, go, is_part, page, person
from dispatcher.console.webhooks import shown
from dispatcher.errors import TooManyPings
from dispatcher.model.webhook import SigningSecret
from dispatcher.webhooks import edit, secrets

_ONE = f"/accounts/<slug>/webhooks/<{ROW_ID}:webhook_id>"


@blueprint.route(f"{_ONE}/ping", methods=["POST"])
def ping(webhook_id: int) -> Response:
    """Sends a ping and shows what came back."""
    try:
        answer = for_eyes_of(person(), container().pinger.ping(account().slug, webhook_id))
    except TooManyPings as busy:
        return page("ping.html", problem=str(busy)) if is_part() else shown(webhook_id, 503, ping_problem=str(busy))
    return page("ping.html", ping=answer) if is_part() else shown(webhook_id, ping=answer)


@blueprint.route(f"{_ONE}/secret", methods=["POST"])
def reveal_secret(webhook_id: int) -> Response:
    """The signing secret."""
    return _secret(webhook_id, secrets.show(container().storage, account().id, webhook_id))


@blueprint.route(f"{_ONE}/secret/rotate", methods=["POST"])
def rotate_secret(webhook_id: int) -> Response:
    """A new signing secret; the old one signs too for a day."""
    return _secret(webhook_id, secrets.rotate(container().storage, account().id, webhook_id))


@blueprint.route(f"{_ONE}/pause", methods=["POST"])
def pause(webhook_id: int) -> Response:
    """Makes it inactive."""
    _change(webhook_id, active=False)
    return go("webhook", "paused", webhook_id=webhook_id)


@blueprint.route(f"{_ONE}/activate", methods=["POST"])
def activate(webhook_id: int) -> Response:
    """Makes it active; what waited goes on."""
    _change(webhook_id, active=True)
    return go("webhook", "activated", webhook_id=webhook_id)


@blueprint.route(f"{_ONE}/delete", methods=["POST"])
def delete_webhook(webhook_id: int) -> Response:
    """Deletes it; what waits for it is cancelled."""
    edit.delete_webhook(container().storage, account().slug, webhook_id)
    return go("webhooks", "deleted")


def _change(webhook_id: int, *, active: bool) -> None:
    edit.edit_webhook(container().storage, container().schedule, account().slug, webhook_id, {"active": active})


def _secret(webhook_id: int, found: SigningSecret) -> Response:
    return page("secret.html", secret=found) if is_part() else shown(webhook_id, secret=found)
