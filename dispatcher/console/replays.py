"""Replays: many deliveries again. The form counts how many match before anything is sent; then progress is shown."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Response, request

from dispatcher import clock
from dispatcher.api.http import ROW_ID, container
from dispatcher.api.query import PAGE_SIZE, cursor, webhook_id
from dispatcher.console import filters
from dispatcher.console.formatting import local_input
from dispatcher.console.page import (
    account,
    blueprint,
    confirm,
    is_confirmed,
    is_part,
    page,
    redirect_to,
    to,
    without_polling,
)
from dispatcher.errors import InvalidReplay
from dispatcher.model.delivery import State
from dispatcher.model.replay import Replay, ReplayState
from dispatcher.phrases import counted
from dispatcher.replays import job
from dispatcher.schemas import active
from dispatcher.schemas.api.options import read_number
from dispatcher.schemas.api.replay import STATES
from dispatcher.storage.reads import webhooks
from dispatcher.storage.replays import jobs

_SAME_KEY = "the same Idempotency-Key"
_ONE = f"/accounts/<slug>/replays/<{ROW_ID}:replay_id>"


@blueprint.route("/accounts/<slug>/replays", endpoint="replays")
def list_() -> Response:
    """40 a page, newest first."""
    before = cursor()
    records = container().storage.read(
        jobs.list_for_account,
        account().id,
        before=None if before is None else min(before, 2**31 - 1),
        limit=PAGE_SIZE + 1,
    )
    replays, has_more = filters.split_page(records)
    return page("replays.html", replays=replays, before=replays[-1].id if has_more else None)


@blueprint.route("/accounts/<slug>/replays/new", endpoint="new_replay")
def new() -> Response:
    """The form, filled in from a filter of deliveries; by default it begins a day ago."""
    return _form({}, since=local_input(clock.now() - timedelta(days=1)))


@blueprint.route("/accounts/<slug>/replays", methods=["POST"], endpoint="start_replay")
def start() -> Response:
    """Starts it; with `dry_run` says how many match. Asks first where it is about what was delivered."""
    problems: dict[str, str] = {}
    criteria, parts = _criteria(problems), container()
    limit = parts.settings.redelivery_limit
    if problems:
        return _refused({name: [text] for name, text in problems.items()})
    try:
        if request.form.get("dry_run"):
            matched = job.dry_run(parts.storage, account(), criteria, redelivery_limit=limit)
            return page("dry_run.html", matched=matched) if is_part() else _form({}, matched=matched)
        if not is_confirmed() and criteria["states"] == [State.DELIVERED]:
            matched = job.dry_run(parts.storage, account(), criteria, redelivery_limit=limit)
            key = "a new Idempotency-Key, by which they do not recognize it" if criteria["new_key"] else _SAME_KEY
            what = f"{counted(matched, 'delivery')} that {'was' if matched == 1 else 'were'} delivered would be sent."
            return confirm(matched, what, key=key, cancel=to("new_replay"))
        started = job.start(parts.storage, parts.schedule, account(), criteria, redelivery_limit=limit)
    except InvalidReplay as invalid:
        return _refused(invalid.messages)
    return redirect_to("replay", replay_id=started.id)


@blueprint.route(_ONE, endpoint="replay")
def show(replay_id: int) -> Response:
    """One replay and its progress."""
    return page("replay.html", replay=_find(replay_id))


@blueprint.route(f"{_ONE}/progress", endpoint="replay_progress")
def progress(replay_id: int) -> Response:
    """The part of the page that changes."""
    replay = _find(replay_id)
    part = page("replay_progress.html", replay=replay)
    return part if replay.state is ReplayState.RUNNING else without_polling(part)


@blueprint.route(f"{_ONE}/stop", methods=["POST"], endpoint="stop_replay")
def stop(replay_id: int) -> Response:
    """Stops it before the rest is sent."""
    job.stop(container().storage, replay_id, account_id=account().id)
    return redirect_to("replay", "stopped", replay_id=replay_id)


@blueprint.route(f"{_ONE}/resume", methods=["POST"], endpoint="resume_replay")
def resume(replay_id: int) -> Response:
    """Resumes it where it was stopped."""
    job.resume(container().storage, replay_id, account_id=account().id)
    return redirect_to("replay", "resumed", replay_id=replay_id)


def _find(replay_id: int) -> Replay:
    return container().storage.read(jobs.find, replay_id, account_id=account().id)


def _form(problems: Mapping[str, Any], status: int = 200, matched: int | None = None, since: str = "") -> Response:
    names = container().storage.read(webhooks.names, account().id)
    return page(
        "replay_form.html",
        status,
        problems=problems,
        values=request.values,
        since=request.values.get("since") or since,
        matched=matched,
        webhooks=[one for one in names if not one[2]],
        event_names=active().names,
        states=list(STATES),
    )


def _refused(problems: Mapping[str, Any]) -> Response:
    return page("dry_run.html", problems=problems) if is_part() else _form(problems, 422)


def _criteria(problems: dict[str, str]) -> dict[str, Any]:
    """The form as the API would have it (dispatcher.schemas.api.replay)."""
    form, missed = request.form, bool(request.form.get("missed"))
    since, until = (filters.field(name, filters.local_moment, problems) for name in ("since", "until"))
    name = form.get("event_name", "").strip()
    return {
        "since": since and since.isoformat(),
        "until": until and until.isoformat(),
        "webhook_id": filters.field("webhook_id", webhook_id, problems),
        "event_names": [name] if name else None,
        "states": None if missed else [form.get("state") or "failed"],
        "rate": read_number(form.get("rate", "")),
        "new_key": bool(form.get("new_key")),
        "missed": missed,
    }
