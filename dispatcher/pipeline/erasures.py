"""A person's payloads are erased: in outboxes first, then in the events of the account, a batch a transaction.

Whoever runs an erasure goes on where it stands, whichever process began it; two at once take turns. So a killed one is
gone on with by the next command, request or hourly prune.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any

from dispatcher import clock, failpoints
from dispatcher.errors import InvalidErasure
from dispatcher.schemas import EventType, active
from dispatcher.settings import Outbox
from dispatcher.storage.admin import erasures, payloads
from dispatcher.storage.admin.erasures import Erasure, ScannedEvent
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.outboxes import registry
from dispatcher.storage.outboxes.database import OutboxDatabase

FEW, MOST = 500, 8_000
"""Events of a batch: few at first, as bodies may have 5 MiB; more as long as a batch is quick."""
QUICK_S = 0.5
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_AS_IT_IS = re.compile(r"[A-Za-z0-9_.:@ -]+\Z")
"""Text that is the same in all JSON; other text may be escaped."""

Progress = Callable[[Erasure], object]


def request(storage: Storage, account_id: int, *, subject: str | None = None, digest: str | None = None) -> Erasure:
    """The erasure of the person with that id, or that digest, to be run; the same one while it is pending.

    What is emitted of them later is not erased. Raises InvalidErasure.
    """
    if (subject is None) == (digest is None):
        raise InvalidErasure({"subject": ["either `subject` or `digest` is needed"]})
    if subject is not None and not _SUBJECT.match(subject):
        raise InvalidErasure({"subject": ["must have 1 to 200 characters, without control characters"]})
    if digest is not None and not _DIGEST.match(digest):
        raise InvalidErasure({"digest": ["must have 64 hexadecimal digits, as an earlier erasure has them"]})
    if not _types():
        raise InvalidErasure({"subject": ["no event type says by `subjects` where the ids of persons stand"]})
    digest = digest or erasures.digest_of(account_id, subject or "")
    return storage.transact(erasures.request, account_id, subject, digest)


def run(
    storage: Storage,
    outboxes: Sequence[Outbox],
    erasure: Erasure,
    limit_s: float,
    progress: Progress = lambda _: None,
) -> Erasure:
    """Goes on with the erasure until it is finished, or for `limit_s` seconds and a batch; returns how far it is.

    `progress` gets it after each batch. Raises OutboxUnavailable: then nothing was finished.
    """
    until_s, size = clock.monotonic() + limit_s, FEW
    types, is_clean = _types(), False
    while erasure.finished_at is None:
        if not is_clean:
            _erase_in_outboxes(storage, outboxes, erasure)
            is_clean = True
        began_s = clock.monotonic()
        advanced = storage.transact(_batch, erasure.id, types, size)
        if advanced is None:  # its account was deleted meanwhile
            return erasure
        erasure = advanced
        failpoints.hit("after_erasure_batch")
        progress(erasure)
        size = min(MOST, 2 * size) if clock.monotonic() < began_s + QUICK_S else max(1, size // 4)
        if clock.monotonic() > until_s:
            break
    return erasure


def run_pending(storage: Storage, outboxes: Sequence[Outbox], limit_s: float) -> list[Erasure]:
    """Goes on with each that is not finished, for `limit_s` at most; returns how far they are."""
    done = []
    for id_ in storage.read(erasures.pending):
        if (erasure := storage.transact(erasures.lock, id_)) is not None:
            done.append(run(storage, outboxes, erasure, limit_s))
    return done


def _types() -> dict[str, EventType]:
    """Event → its type, of those that say whom they are about; also of types that were deleted."""
    catalogues = active()
    deleted = (catalogues.stored.deleted(name) for name in catalogues.stored.newest if name not in catalogues.events)
    types = (*catalogues.events.values(), *filter(None, deleted))
    return {one.name: one for one in types if any(version.subjects for version in one.versions.values())}


def _batch(connection: Connection, erasure_id: int, types: dict[str, EventType], size: int) -> Erasure | None:
    erasure = erasures.lock(connection, erasure_id)
    if erasure is None or erasure.finished_at is not None:
        return erasure
    text = erasure.subject if erasure.subject and _AS_IT_IS.match(erasure.subject) else None
    walked = erasures.walk(connection, erasure, list(types), text, size)
    ids = _about(connection, erasure, types, [one for one in walked if one.is_candidate])
    erased = Counter[str]() if not ids else payloads.erase(connection, ids, payloads.SUBJECT)
    reached = walked[-1].id if walked else erasure.reached
    return erasures.advance(connection, erasure, reached, erased, is_whole=len(walked) < size)


def _about(
    connection: Connection, erasure: Erasure, types: dict[str, EventType], candidates: Sequence[ScannedEvent]
) -> list[int]:
    """Those of them that are about the person."""
    ids = []
    for start in range(0, len(candidates), erasures.READ_AT_ONCE):
        some = candidates[start : start + erasures.READ_AT_ONCE]
        bodies = erasures.bodies(connection, [one.id for one in some])
        ids += [one.id for one in some if _is_about(erasure, types[one.name], one.version, bodies[one.id])]
    return ids


def _is_about(erasure: Erasure, event: EventType, version: int, body_json: str) -> bool:
    with suppress(RecursionError):  # such a body was stored by SQL, and cannot be sent either
        body: Any = json.loads(body_json)
        of = event.versions.get(version, event)  # the newest may know of persons that it did not say
        return any(map(erasure.is_of, of.persons_in(body) | event.persons_in(body)))
    return False


def _erase_in_outboxes(storage: Storage, outboxes: Sequence[Outbox], erasure: Erasure) -> None:
    """Deletes what is not taken in yet; no worker takes in a batch of that outbox meanwhile."""
    if not outboxes:
        return
    slug, versions = storage.read(erasures.slug_of, erasure), active().versions

    def is_about(name: str, body_json: str) -> bool:
        event = versions.get(name)
        return event is not None and _is_about(erasure, event, event.version, body_json)

    for outbox in outboxes:
        with closing(OutboxDatabase(outbox)) as database, storage.transaction() as connection:
            registry.wait(connection, outbox.name)
            database.delete_where(slug, is_about)
