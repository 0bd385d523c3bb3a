"""Replays: many deliveries again, as a job. A client replays those to its own webhooks and sees its own jobs."""

from flask import Response, url_for
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.http import ROW_ID, container, json_object, json_response, no_content, public_url, request_body
from dispatcher.api.query import PAGE_PARAMETER, page_bounds
from dispatcher.replays import job
from dispatcher.representations import replay_json
from dispatcher.schemas.api.replay import DryRunSchema, ReplaySchema
from dispatcher.storage.replays import jobs

blueprint = Blueprint("replays", __name__, description="Replays of many deliveries.")

_ONE = f"/accounts/<slug>/replays/<{ROW_ID}:replay_id>"


@blueprint.route("/accounts/<slug>/replays.json")
@authorized("deliveries")
@blueprint.doc(parameters=[PAGE_PARAMETER])
@blueprint.response(200, ReplaySchema(many=True))
def list_(caller: Caller) -> Response:
    """The client's replays, newest first; 40 a page, an empty page past the end."""
    page = container().storage.read(
        jobs.list_for_account, caller.account.id, client_id=caller.client.id, **page_bounds()
    )
    return json_response([replay_json(one) for one in page])


@blueprint.route("/accounts/<slug>/replays.json", methods=["POST"])
@authorized("deliveries")
@blueprint.doc(requestBody=request_body(ReplaySchema))
@blueprint.response(201, ReplaySchema, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.alt_response(200, schema=DryRunSchema, description="With `dry_run`: the number of matching deliveries.")
def start(caller: Caller) -> Response:
    """A new replay, which workers run; `Location` is where to follow it. With `dry_run` nothing is sent.

    Deliveries that were redelivered as often as is allowed do not match, except with `new_key`.
    """
    criteria, parts = json_object(), container()
    bounds = {"client_id": caller.client.id, "redelivery_limit": parts.settings.redelivery_limit}
    if criteria.get("dry_run") is True:
        return json_response({"matched": job.dry_run(parts.storage, caller.account, criteria, **bounds)})
    started = job.start(parts.storage, parts.schedule, caller.account, criteria, **bounds)
    path = url_for("replays.show", slug=caller.account.slug, replay_id=started.id)
    return json_response(replay_json(started), 201, {"Location": public_url() + path})


@blueprint.route(f"{_ONE}.json")
@authorized("deliveries")
@blueprint.response(200, ReplaySchema)
def show(caller: Caller, replay_id: int) -> Response:
    """One replay: `sent` of `matched` so far."""
    replay = container().storage.read(jobs.find, replay_id, account_id=caller.account.id, client_id=caller.client.id)
    return json_response(replay_json(replay))


@blueprint.route(f"{_ONE}.json", methods=["DELETE"])
@authorized("deliveries")
@blueprint.response(204)
def stop(caller: Caller, replay_id: int) -> Response:
    """Stops it before the rest is sent. It is still listed; one that has ended stays as it is."""
    job.stop(container().storage, replay_id, account_id=caller.account.id, client_id=caller.client.id)
    return no_content()


@blueprint.route(f"{_ONE}/resume.json", methods=["POST"])
@authorized("deliveries")
@blueprint.response(200, ReplaySchema)
def resume(caller: Caller, replay_id: int) -> Response:
    """Resumes a stopped replay where it was; one that is done stays done."""
    resumed = job.resume(container().storage, replay_id, account_id=caller.account.id, client_id=caller.client.id)
    return json_response(replay_json(resumed))
