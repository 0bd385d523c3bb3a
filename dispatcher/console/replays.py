"""Replays: many deliveries once more. The form says how many match before anything is sent; then progress is shown."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Response, request

from dispatcher import clock
from dispatcher.api.paging import PAGE_SIZE, cursor
from dispatcher.api.parts import ROW_ID, container
from dispatcher.console import filters
from dispatcher.console.formatting import local_input
from dispatcher.console.page import account, blueprint, finished, go, is_part, page
from dispatcher.errors import InvalidReplay
from dispatcher.model.replay import REPLAYABLE, ReplayState
from dispatcher.replays import job
from dispatcher.storage.reads import webhooks
from dispatcher.storage.replays import jobs

_ONE = f"/accounts/<slug>/replays/<{ROW_ID}:replay_id>"


@blueprint.route("/accounts/<slug>/replays", endpoint="replays")
def list_() -> Response:
    """40 a page, newest first."""
    before = cursor()
    found = container().storage.read(
        jobs.list_for_account,
        account().id,
        before=None if before is None else min(before, 2**31 - 1),
        limit=PAGE_SIZE + 1,
    )
    shown = found[:PAGE_SIZE]
    return page("replays.html", replays=shown, before=shown[-1].id if len(found) > PAGE_SIZE else None)


@blueprint.route("/accounts/<slug>/replays/new", endpoint="new_replay")
def new() -> Response:
    """The form, filled in from a filter of deliveries; of the last day, unless that says since when."""
    return _form({}, since=local_input(clock.now() - timedelta(days=1)))


@blueprint.route("/accounts/<slug>/replays", methods=["POST"], endpoint="start_replay")
def start() -> Response:
    """Starts it; with `dry_run` says how many match."""
    problems: dict[str, str] = {}
    given, parts = _given(problems), container()
    limit = parts.settings.redelivery_limit
    if problems:
        return _refused({name: [text] for name, text in problems.items()})
    try:
        if request.form.get("dry_run"):
            matched = job.dry_run(parts.storage, account(), given, redelivery_limit=limit)
            return page("dry_run.html", matched=matched) if is_part() else _form({}, matched=matched)
        made = job.start(parts.storage, parts.schedule, account(), given, redelivery_limit=limit)
    except InvalidReplay as invalid:
        return _refused(invalid.messages)
    return go("replay", replay_id=made.id)


@blueprint.route(_ONE, endpoint="replay")
def show(replay_id: int) -> Response:
    """One replay, and how far it is."""
    return page("replay.html", **_about(replay_id))


@blueprint.route(f"{_ONE}/progress", endpoint="replay_progress")
def progress(replay_id: int) -> Response:
    """The part of the page that changes."""
    about = _about(replay_id)
    answer = page("replay_progress.html", **about)
    return answer if about["replay"].state is ReplayState.RUNNING else finished(answer)


@blueprint.route(f"{_ONE}/stop", methods=["POST"], endpoint="stop_replay")
def stop(replay_id: int) -> Response:
    """What was not sent yet is not sent."""
    job.stop(container().storage, replay_id, account_id=account().id)
    return go("replay", "stopped", replay_id=replay_id)


@blueprint.route(f"{_ONE}/resume", methods=["POST"], endpoint="resume_replay")
def resume(replay_id: int) -> Response:
    """It goes on where it was stopped."""
    job.resume(container().storage, replay_id, account_id=account().id)
    return go("replay", "resumed", replay_id=replay_id)


def _about(replay_id: int) -> dict[str, Any]:
    found = container().storage.read(jobs.find, replay_id, account_id=account().id)
    return {"replay": found}


def _form(problems: Mapping[str, Any], status: int = 200, matched: int | None = None, since: str = "") -> Response:
    names = container().storage.read(webhooks.names, account().id)
    return page(
        "replay_form.html",
        status,
        problems=problems,
        given=request.values,
        since=request.values.get("since") or since,
        matched=matched,
        webhooks=[one for one in names if not one[2]],
        event_names=filters.NAMES,
        states=[str(state) for state in REPLAYABLE],
    )


def _refused(problems: Mapping[str, Any]) -> Response:
    return page("dry_run.html", problems=problems) if is_part() else _form(problems, 422)


def _given(problems: dict[str, str]) -> dict[str, Any]:
    """The form as the API would have it (schemas.api.replay)."""
    form, missed = request.form, bool(request.form.get("missed"))
    since, until = filters.moment("since", problems), filters.moment("until", problems)
    webhook_id, name = (form.get(field, "").strip() for field in ("webhook_id", "event_name"))
    return {
        "since": since and since.isoformat(),
        "until": until and until.isoformat(),
        "webhook_id": int(webhook_id) if webhook_id.isdecimal() and len(webhook_id) < 11 else None,
        "event_names": [name] if name else None,
        "states": None if missed else [form.get("state") or "failed"],
        "rate": filters.rate(form.get("rate", "")),
        "new_key": bool(form.get("new_key")),
        "missed": missed,
    }
