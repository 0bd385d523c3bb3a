"""A person's payloads are erased: wherever they lie, at once or after a kill, and nothing of anybody else."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema, fields

from dispatcher.container import Container
from dispatcher.errors import DeliveryNotFound, IllegalTransition, InvalidErasure
from dispatcher.model.account import Account
from dispatcher.pipeline import erasures
from dispatcher.pipeline.emit import NewEvent
from dispatcher.pipeline.prune import prune
from dispatcher.replays.one import replay
from dispatcher.schemas import Catalogue
from dispatcher.schemas.active_catalogues import Catalogues, use
from dispatcher.storage.admin import audit
from dispatcher.storage.admin.erasures import Erasure, digest_of
from dispatcher.storage.admin.payload_retentions import totals
from dispatcher.storage.engine import Connection, Storage, rows, scalar, scalars
from dispatcher.storage.reads import payloads
from tests.integration.pipeline.conftest import Flow
from tests.support import forked
from tests.support.builders import a_webhook, an_account
from tests.support.processes import PROGRAMS, clean_environment
from tests.support.receiver import Answer, Receiver

NAME, PERSON, OTHER = "Jana-Erasable", 1731, 17
IN_AN_ERASURE = ("after_erasure_batch",)
HOLD_PAYLOADS = """
attempts.body attempts.response_headers deliveries.resource events.body events_waiting.resource
idempotent_requests.response_encrypted
"""
"""Columns that may hold what a payload said; `dispatcher.storage.admin.payloads` knows them."""
HOLD_NONE = """
accounts.external_id accounts.portal accounts.settings accounts.slug accounts.time_zone
alert_channels.alerts alert_channels.email alert_channels.last_error alert_channels.name
alert_channels.signing_secret_encrypted alert_channels.type alert_channels.url_encrypted
alerts_sent.kind alerts_sent.subject
attempts.content_type attempts.reason attempts.status attempts.url
audit_log.action audit_log.actor_kind audit_log.actor_name audit_log.details audit_log.subject
clients.client_id clients.name clients.redirect_uris clients.scopes clients.secret_hash
deliveries.state
erasures.digest erasures.subject
event_types.description event_types.downgrade event_types.example event_types.group event_types.name
event_types.resource event_types.resource_id event_types.schema event_types.subjects
events.erasure events.idempotency_key events.name events.traceparent
events_waiting.name
idempotent_requests.fingerprint idempotent_requests.key
outboxes.error outboxes.name
payload_retentions.name polls.previous_token_hash polls.token_hash
portal_sessions.cookie_hash portal_sessions.label portal_sessions.link_hash portal_sessions.return_url
portal_sessions.role portal_sessions.theme
quotas_reached.quota
replays.event_names replays.state replays.states
service_tokens.hash service_tokens.name service_tokens.scopes
sessions.address sessions.agent sessions.hash
tokens.code_challenge tokens.code_challenge_method tokens.hash tokens.kind tokens.redirect_uri tokens.scopes
users.allowed_scope users.email users.full_name users.password_hash users.permission
webhooks.auth_header_encrypted webhooks.deactivated_reason webhooks.description webhooks.event_patterns webhooks.events
webhooks.filter webhooks.filter_path webhooks.metadata webhooks.options webhooks.ordering webhooks.payload_version
webhooks.previous_secret_encrypted webhooks.signing webhooks.signing_secret_encrypted webhooks.tags webhooks.uid
webhooks.webhook_url
dispatcher_version.version_num
"""


def names(text: str) -> set[str]:
    return set(text.split())


def columns(connection: Connection) -> list[str]:
    """Those that hold text, of tables that are no partitions."""
    sql = """
    select c.relname || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'dispatcher'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and a.attnum > 0 and not a.attisdropped
        and a.atttypid::regtype::text ~ '^(text|json|bytea|character|name|xml|hstore)'
    """
    return scalars(connection, sql)


def holding(storage: Storage, text: str) -> list[str]:
    """The columns in which it stands somewhere."""

    def look(connection: Connection) -> list[str]:
        looks = ((one, *one.split(".")) for one in columns(connection))
        sql = """select exists (select from dispatcher.{} where "{}"::text like %(like)s)"""
        return [one for one, *at in looks if scalar(connection, sql.format(*at), like=f"%{text}%")]

    return storage.transact(look)


def an_event(person: int, name: str = "subject_updated") -> NewEvent:
    return NewEvent(name=name, body={"subject": {"id": person, "name": f"{NAME}-{person}", "email": "j@example.com"}})


def erase(container: Container, account: Account, person: int = PERSON, **more: Any) -> Erasure:
    requested = erasures.request(container.storage, account.id, subject=str(person))
    return erasures.run(container.storage, (), requested, 60.0, **more)


@pytest.fixture
def hook(storage: Storage, account: Account, receiver: Receiver) -> Any:
    """Its receiver repeats what it got first."""
    receiver.script("/hook", Answer(body=f"thank you, {NAME}-{PERSON}".encode()), Answer())
    return a_webhook(storage, account, receiver.url("/hook"), ["subject_updated"], ordering="resource")


def test_every_column_that_holds_text_is_known(storage: Storage) -> None:
    """A new one: does it hold what a payload said? Then `storage.admin.payloads` has to erase it; else name it here."""
    assert sorted(set(storage.read(columns)) ^ (names(HOLD_PAYLOADS) | names(HOLD_NONE))) == []


def test_all_payloads_of_a_person_go_and_the_records_of_their_deliveries_stay(
    container: Container, storage: Storage, account: Account, flow: Flow, hook: Any
) -> None:
    other_account = an_account(storage, "other")
    flow.run(an_event(PERSON))
    flow.run(an_event(OTHER))
    storage.transact(rows, "update dispatcher.webhooks set active = false")
    paused = a_webhook(storage, account, "http://127.0.0.1:9/", ["subject_updated"])
    flow.emit(an_event(PERSON), an_event(OTHER))
    flow.fan_out()
    flow.emit(an_event(PERSON, "subject_created"))
    container.emitter.emit("other", [an_event(PERSON)])
    keep = "insert into dispatcher.service_tokens (hash, name, scopes) values ('', 'n', '{}') returning id"
    token = storage.transact(scalar, keep)
    kept = """
        insert into dispatcher.idempotent_requests (service_token_id, key, fingerprint, response_encrypted, event_id)
        select %(token)s, id::text, '', 'secret', id from dispatcher.events where account_id = %(account)s"""
    storage.transact(rows, kept, token=token, account=account.id)
    assert {"attempts.body", "events.body"} <= set(holding(storage, f"{NAME}-{PERSON}"))

    done = erase(container, account)

    assert (done.events, done.attempts, done.cancelled, done.subject) == (3, 1, 2, None)
    assert done.finished_at is not None
    assert [one.state for one in flow.deliveries()] == ["delivered", "delivered", "cancelled", "pending"]
    assert [len(one.attempts) for one in flow.deliveries()] == [1, 1, 0, 0]
    assert storage.read(scalar, "select count(*) from dispatcher.idempotent_requests") == 2
    assert storage.read(scalar, "select count(*) from dispatcher.events_waiting") == 1  # of the other account
    storage.transact(rows, "delete from dispatcher.events where account_id = %(id)s", id=other_account.id)
    storage.transact(rows, "delete from dispatcher.events_waiting where account_id = %(id)s", id=other_account.id)
    assert holding(storage, f"{NAME}-{PERSON}") == holding(storage, f"subject:{PERSON}") == []
    assert set(holding(storage, f"{NAME}-{OTHER}")) == {"events.body"}
    assert (
        storage.read(scalar, "select count(*) from dispatcher.deliveries where webhook_id = %(id)s", id=paused.id) == 2
    )


def test_nothing_that_was_erased_is_sent_again(
    container: Container, storage: Storage, account: Account, flow: Flow, hook: Any, receiver: Receiver
) -> None:
    flow.run(an_event(PERSON))
    (delivery,) = flow.deliveries()
    erase(container, account)

    with pytest.raises(IllegalTransition, match="its payload was erased"):
        replay(storage, container.schedule, str(delivery.id), limit=3)
    with pytest.raises(DeliveryNotFound):  # what a claim check leads to
        storage.transact(payloads.find, storage.secrets, delivery.id)

    storage.transact(rows, "update dispatcher.deliveries set state = 'pending', finished_on = null")
    flow.make_due()
    flow.deliver(hook.id)
    assert [one.state for one in flow.deliveries()] == ["failed"]
    assert len(receiver.requests) == 1


def test_an_erasure_is_in_the_audit_log_and_can_be_repeated_by_its_digest(
    container: Container, storage: Storage, account: Account, flow: Flow, hook: Any
) -> None:
    flow.emit(an_event(PERSON), an_event(OTHER))
    first = erase(container, account)
    assert erase(container, account).events == 0

    restored = json.dumps({"subject": {"id": PERSON}})
    sql = "update dispatcher.events set erasure = null, body = %(body)s where erasure is not null"
    storage.transact(rows, sql, body=restored)
    again = erasures.request(storage, account.id, digest=first.digest)
    assert erasures.run(storage, (), again, 60.0).events == 1

    entries = storage.read(audit.page, account_id=account.id)
    assert [one.action for one in entries] == ["erasure.finished", "erasure.requested"] * 3
    assert {one.subject for one in entries} == {first.digest} == {digest_of(account.id, str(PERSON))}
    assert entries[-2].details == {"events": 1, "attempts": 0, "cancelled": 1}
    assert not any(str(PERSON) in str(one.details) for one in entries)


def test_payloads_are_kept_for_as_long_as_their_event_type_says(
    storage: Storage, account: Account, flow: Flow, receiver: Receiver, shift_time: Any, request: Any
) -> None:
    catalogue = Catalogue("shop")
    order = catalogue.resource("order", Schema.from_dict({"id": fields.Integer(required=True)}))
    for name, days in (("order.short", 7), ("order.long", 9), ("order.kept", None)):
        catalogue.event(name, order, payload_retention_days=days)
    use(Catalogues(catalogue))
    request.addfinalizer(lambda: use(None))
    hook = a_webhook(storage, account, receiver.url("/"), [*catalogue.events])
    for name in catalogue.events:
        flow.run(NewEvent(name=name, body={"order": {"id": 1}}))
    storage.transact(rows, "update dispatcher.webhooks set active = false where id = %(id)s", id=hook.id)
    a_webhook(storage, account, "http://127.0.0.1:9/", ["order.short"])
    flow.emit(NewEvent(name="order.short", body={"order": {"id": 2}}))
    flow.fan_out()

    def erased_after(days: float) -> list[Any]:
        shift_time(days * 86_400)
        prune(storage, 30)
        return storage.read(scalars, "select name from dispatcher.events where erasure = 'retention' order by name")

    assert erased_after(6.5) == []
    assert erased_after(7.5) == ["order.short", "order.short"]
    assert erased_after(9.5) == ["order.long", "order.short", "order.short"]
    assert flow.states() == ["delivered", "delivered", "delivered", "cancelled"]
    assert storage.read(totals) == (0, 3, 0)


def test_whom_to_erase_must_be_said(storage: Storage, account: Account) -> None:
    wrong: list[dict[str, str]] = [{}, {"subject": ""}, {"subject": "a\0"}, {"digest": "17"}]
    for whom in [*wrong, {"subject": "1", "digest": "1"}]:
        with pytest.raises(InvalidErasure):
            erasures.request(storage, account.id, **whom)


def test_a_killed_command_is_gone_on_with(
    container: Container, storage: Storage, account: Account, flow: Flow, hook: Any, tmp_path: Path, forking: None
) -> None:
    flow.emit(*[an_event(PERSON if number % 10 else OTHER) for number in range(600)])
    settings = container.settings
    environment = {
        **clean_environment(),
        "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "SECRET_KEYS": settings.secret_keys[0],
        "DISPATCHER_FAILPOINT": IN_AN_ERASURE[0], "DISPATCHER_TESTING": "1",
    }  # fmt: skip
    command = [str(PROGRAMS / "dispatcher"), "erase", "--account", account.slug, "--subject", str(PERSON)]

    killed = forked.start(command, cwd=tmp_path, env=environment, log=tmp_path / "log")

    assert killed.wait(60) == -signal.SIGKILL
    left = storage.read(scalar, "select count(*) from dispatcher.events where erasure is null")
    assert 60 < left < 600
    prune(storage, settings.retention_days)
    assert storage.read(scalar, "select count(*) from dispatcher.events where erasure is null") == 60
    (state,) = storage.read(rows, "select events, cancelled, subject, finished_at is null from dispatcher.erasures")
    assert tuple(state) == (540, 540, None, False)
