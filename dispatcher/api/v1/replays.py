"""Replays of an account: many of its deliveries again, as a job, whether a client or a program asked for it."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.http import ROW_ID, container, json_object, json_response, no_content, request_body
from dispatcher.api.query import webhook_id
from dispatcher.api.v1 import paging
from dispatcher.api.v1.accounts import tenant_of
from dispatcher.api.v1.auth import service
from dispatcher.api.v1.idempotency import PARAMETER, idempotent
from dispatcher.api.v1.problems import PREFIX
from dispatcher.model.replay import Replay
from dispatcher.replays import job
from dispatcher.representations import replay_json
from dispatcher.schemas.api.replay import DryRunSchema, ReplaySchema
from dispatcher.storage.admin.service_tokens import ServiceToken
from dispatcher.storage.engine import Storage
from dispatcher.storage.replays import jobs

blueprint = Blueprint("v1_replays", __name__, description="Replays of many deliveries.")

_ALL = "/accounts/<external_id>/replays"
_ONE = f"{_ALL}/<{ROW_ID}:replay_id>"


@blueprint.route(_ALL)
@service("deliveries:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, paging.list_of(ReplaySchema))
def list_(_token: ServiceToken, external_id: str) -> Response:
    """The account's replays, newest first."""
    some = container().storage.read(jobs.list_for_account, tenant_of(external_id).id, **paging.newest_first(webhook_id))
    return paging.page(some, _json, lambda one: one.id)


@blueprint.route(_ALL, methods=["POST"])
@service("deliveries")
@blueprint.doc(parameters=[PARAMETER], requestBody=request_body(ReplaySchema))
@blueprint.response(201, ReplaySchema, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.alt_response(200, schema=DryRunSchema, description="With `dry_run`: the number of matching deliveries.")
@idempotent
def start(_token: ServiceToken, storage: Storage, external_id: str) -> Response:
    """A new replay, which workers run. With `dry_run` nothing is sent.

    Deliveries that were redelivered as often as is allowed do not match, except with `new_key`.
    """
    account, criteria, parts = tenant_of(external_id, storage).account, json_object(), container()
    limit = parts.settings.redelivery_limit
    if criteria.get("dry_run") is True:
        return json_response({"matched": job.dry_run(storage, account, criteria, redelivery_limit=limit)})
    started = job.start(storage, parts.schedule, account, criteria, redelivery_limit=limit)
    return json_response(_json(started), 201, {"Location": f"{PREFIX}/accounts/{external_id}/replays/{started.id}"})


@blueprint.route(_ONE)
@service("deliveries:read")
@blueprint.response(200, ReplaySchema)
def show(_token: ServiceToken, external_id: str, replay_id: int) -> Response:
    """One replay: `sent` of `matched` so far."""
    account_id = tenant_of(external_id).id
    return json_response(_json(container().storage.read(jobs.find, replay_id, account_id=account_id)))


@blueprint.route(_ONE, methods=["DELETE"])
@service("deliveries")
@blueprint.response(204)
def stop(_token: ServiceToken, external_id: str, replay_id: int) -> Response:
    """Stops it before the rest is sent. It is still listed; one that has ended stays as it is."""
    job.stop(container().storage, replay_id, account_id=tenant_of(external_id).id)
    return no_content()


@blueprint.route(f"{_ONE}/resume", methods=["POST"])
@service("deliveries")
@blueprint.response(200, ReplaySchema)
def resume(_token: ServiceToken, external_id: str, replay_id: int) -> Response:
    """Resumes a stopped replay where it was; one that is done stays done."""
    account_id = tenant_of(external_id).id
    return json_response(_json(job.resume(container().storage, replay_id, account_id=account_id)))


def _json(replay: Replay) -> dict[str, Any]:
    return replay_json(replay, "UTC")
