"""Replays: many deliveries once more, as a job. A client replays those to its own webhooks and sees its own jobs."""

from flask import Response, url_for
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.paging import PAGE_PARAMETER, PAGE_SIZE, page_offset
from dispatcher.api.parts import ROW_ID, answer, container, json_object, no_content, root
from dispatcher.replays import job
from dispatcher.representations.replay import shown_replay
from dispatcher.storage.replays import jobs
from schemas.api.errors import ErrorSchema, FieldErrorsSchema
from schemas.api.replay import DryRunSchema, ReplaySchema

blueprint = Blueprint("replays", __name__, description="Replays of many deliveries.")

_BODY = {"content": {"application/json": {"schema": ReplaySchema}}, "required": True}
_ONE = f"/accounts/<slug>/replays/<{ROW_ID}:replay_id>"


@blueprint.route("/accounts/<slug>/replays.json")
@authorized("deliveries")
@blueprint.doc(parameters=[PAGE_PARAMETER])
@blueprint.response(200, ReplaySchema(many=True))
@blueprint.alt_response(400, schema=ErrorSchema)
def list_(caller: Caller) -> Response:
    """The client's replays, newest first; 40 a page, an empty page past the end."""
    offset = page_offset()
    if offset is None:
        return answer([])
    found = container().storage.read(
        jobs.list_for_account, caller.account.id, client_id=caller.client.id, offset=offset, limit=PAGE_SIZE
    )
    return answer([shown_replay(one) for one in found])


@blueprint.route("/accounts/<slug>/replays.json", methods=["POST"])
@authorized("deliveries")
@blueprint.doc(requestBody=_BODY)
@blueprint.response(201, ReplaySchema, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.alt_response(200, schema=DryRunSchema, description="With `dry_run`: the number of matching deliveries.")
@blueprint.alt_response(422, schema=FieldErrorsSchema, description="Unprocessable Content")
def start(caller: Caller) -> Response:
    """A new replay, which the workers carry on; `Location` is where to follow it. With `dry_run` nothing is sent.

    What was redelivered as often as is allowed does not match, unless it is sent with a new key.
    """
    given, parts = json_object(), container()
    whose = {"client_id": caller.client.id, "redelivery_limit": parts.settings.redelivery_limit}
    if given.get("dry_run") is True:
        return answer({"matched": job.dry_run(parts.storage, caller.account, given, **whose)})
    made = job.start(parts.storage, parts.schedule, caller.account, given, **whose)
    path = url_for("replays.show", slug=caller.account.slug, replay_id=made.id)
    return answer(shown_replay(made), 201, {"Location": root() + path})


@blueprint.route(f"{_ONE}.json")
@authorized("deliveries")
@blueprint.response(200, ReplaySchema)
def show(caller: Caller, replay_id: int) -> Response:
    """One replay: `sent` of `matched` so far."""
    found = container().storage.read(jobs.find, replay_id, account_id=caller.account.id, client_id=caller.client.id)
    return answer(shown_replay(found))


@blueprint.route(f"{_ONE}.json", methods=["DELETE"])
@authorized("deliveries")
@blueprint.response(204)
def stop(caller: Caller, replay_id: int) -> Response:
    """Stops it: what was not sent yet is not sent. It is still listed; one that has ended stays as it is."""
    job.stop(container().storage, replay_id, account_id=caller.account.id, client_id=caller.client.id)
    return no_content()


@blueprint.route(f"{_ONE}/resume.json", methods=["POST"])
@authorized("deliveries")
@blueprint.response(200, ReplaySchema)
def resume(caller: Caller, replay_id: int) -> Response:
    """Lets one that was stopped go on from there; one that is done stays done."""
    found = job.resume(container().storage, replay_id, account_id=caller.account.id, client_id=caller.client.id)
    return answer(shown_replay(found))
