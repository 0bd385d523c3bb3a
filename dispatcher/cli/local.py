"""Commands on this installation's own database and Redis (`backend.Backend`)."""

from collections.abc import Mapping
from typing import Any

import click

from dispatcher.container import Container
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline.emit import NewEvent
from dispatcher.replays import job
from dispatcher.replays import one as replay
from dispatcher.representations.delivery import shown, shown_with_attempts
from dispatcher.representations.replay import shown_replay
from dispatcher.representations.signing_secret import shown_signing_secret
from dispatcher.storage.admin import accounts, webhooks
from dispatcher.storage.admin.accounts import Account
from dispatcher.storage.reads import deliveries as delivery_reads
from dispatcher.storage.reads import delivery_pages
from dispatcher.storage.replays import jobs
from dispatcher.webhooks import edit, secrets
from schemas.api.delivery import PingSchema
from schemas.api.emitted import EmittedSchema
from schemas.api.webhook import WebhookWithExtrasSchema
from schemas.wire.fields import written_in

JSON = dict[str, Any]

_webhook = WebhookWithExtrasSchema(exclude=["url"])  # it has one only where an API is reached
_ping, _emitted = PingSchema(), EmittedSchema()


class Local:
    """Acts on `own`. Whoever may read its settings may do everything here, so there are no clients and no scopes."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def create_webhook(self, slug: str | None, given: Mapping[str, Any]) -> JSON:
        """The new webhook, with its signing secret."""
        account = self._account(slug)
        return self._shown(edit.create_webhook(self._container.storage, account.slug, given), account)

    def webhooks(self, slug: str | None) -> list[JSON]:
        """All of the account, oldest first."""
        account, storage = self._account(slug), self._container.storage
        found = storage.transact(webhooks.list_for_account, storage.secrets, account.id)
        with written_in(account.time_zone):
            return [dict(_webhook.dump(one)) for one in found]

    def webhook(self, slug: str | None, webhook_id: int) -> JSON:
        """One, with its signing secret."""
        account, storage = self._account(slug), self._container.storage
        found = storage.transact(webhooks.find, storage.secrets, account.id, webhook_id)
        return self._shown(found, account)

    def edit_webhook(self, slug: str | None, webhook_id: int, changes: Mapping[str, Any]) -> JSON:
        """The changed one, with its signing secret."""
        account, container = self._account(slug), self._container
        changed = edit.edit_webhook(container.storage, container.schedule, account.slug, webhook_id, changes)
        return self._shown(changed, account)

    def delete_webhook(self, slug: str | None, webhook_id: int) -> None:
        """What waits for it is cancelled."""
        edit.delete_webhook(self._container.storage, self._account(slug).slug, webhook_id)

    def ping(self, slug: str | None, webhook_id: int) -> JSON:
        """What came of a ping."""
        return dict(_ping.dump(self._container.pinger.ping(self._account(slug).slug, webhook_id)))

    def rotate_secret(self, slug: str | None, webhook_id: int, previous_valid_for_s: int) -> JSON:
        """The new signing secret."""
        account, given = self._account(slug), {"previous_valid_for_s": previous_valid_for_s}
        secret = secrets.rotate(self._container.storage, account.id, webhook_id, given)
        return shown_signing_secret(secret, account.time_zone)

    def deliveries(self, slug: str | None, wanted: Mapping[str, Any], limit: int) -> list[JSON]:
        """The newest `limit` of those that are `wanted`, a page at a time: no statement takes long."""
        account, asked = self._account(slug), dict(wanted)
        found: list[JSON] = []
        while len(found) < limit:
            page = self._container.storage.transact(
                delivery_pages.page, slug=account.slug, limit=limit - len(found), **asked
            )
            found += [shown(one) for one in page.deliveries]
            if page.before is None:
                break
            asked["before"] = page.before
        return found

    def delivery(self, slug: str | None, id_or_key: str) -> JSON:
        """One, with its attempts; of any account where none is given."""
        account_id = None if slug is None else self._account(slug).id
        return shown_with_attempts(
            self._container.storage.transact(delivery_reads.delivery, id_or_key, account_id=account_id)
        )

    def replay(self, slug: str | None, id_or_key: str) -> JSON:
        """The same, pending again."""
        container, account_id = self._container, None if slug is None else self._account(slug).id
        limit = container.settings.redelivery_limit
        return shown_with_attempts(
            replay.replay(container.storage, container.schedule, id_or_key, limit=limit, account_id=account_id)
        )

    def start_replay(self, slug: str | None, given: Mapping[str, Any]) -> JSON:
        """A new replay of what is `given` (schemas.api.replay)."""
        container = self._container
        limit = container.settings.redelivery_limit
        return shown_replay(
            job.start(container.storage, container.schedule, self._account(slug), given, redelivery_limit=limit)
        )

    def count_replay(self, slug: str | None, given: Mapping[str, Any]) -> int:
        """How many deliveries it would send."""
        limit = self._container.settings.redelivery_limit
        return job.dry_run(self._container.storage, self._account(slug), given, redelivery_limit=limit)

    def replays(self, slug: str | None) -> list[JSON]:
        """The newest of the account."""
        account = self._account(slug)
        found = self._container.storage.read(jobs.list_for_account, account.id)
        return [shown_replay(one) for one in found]

    def replay_job(self, slug: str | None, replay_id: int) -> JSON:
        """One replay; of any account where none is given."""
        account_id = None if slug is None else self._account(slug).id
        return shown_replay(self._container.storage.read(jobs.find, replay_id, account_id=account_id))

    def stop_replay(self, slug: str | None, replay_id: int) -> JSON:
        """The same, stopped."""
        account_id = None if slug is None else self._account(slug).id
        return shown_replay(job.stop(self._container.storage, replay_id, account_id=account_id))

    def resume_replay(self, slug: str | None, replay_id: int) -> JSON:
        """The same, running again."""
        account_id = None if slug is None else self._account(slug).id
        return shown_replay(job.resume(self._container.storage, replay_id, account_id=account_id))

    def emit(self, slug: str | None, name: str, body: Mapping[str, Any], idempotency_key: str | None) -> JSON:
        """The stored event."""
        account = self._account(slug)
        (event,) = self._container.emitter.emit(
            account, [NewEvent(name=name, body=body, idempotency_key=idempotency_key)]
        )
        with written_in(account.time_zone):
            return dict(_emitted.dump(event))

    def _account(self, slug: str | None) -> Account:
        if slug is None:
            raise click.UsageError("Missing option '--account'.")
        return self._container.storage.read(accounts.find, slug)

    def _shown(self, webhook: Webhook, account: Account) -> JSON:
        with written_in(account.time_zone):
            return {**_webhook.dump(webhook), "signing_secret": webhook.signing_secret}
