"""Commands on this installation's own database and Redis (`backend.Backend`)."""

from collections.abc import Mapping
from typing import Any

import click

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline.emit import NewEvent
from dispatcher.replays import job, waiting
from dispatcher.replays import one as replay
from dispatcher.representations import delivery_details_json, delivery_json, replay_json, signing_secret_json
from dispatcher.schemas.api.delivery import PingSchema
from dispatcher.schemas.api.emitted import EmittedSchema
from dispatcher.schemas.api.webhook import FilteredWebhookSchema
from dispatcher.schemas.wire.fields import written_in
from dispatcher.storage.admin import accounts, webhooks
from dispatcher.storage.reads import delivery_pages
from dispatcher.storage.replays import jobs
from dispatcher.webhooks import edit, secrets

JSON = dict[str, Any]

_webhook = FilteredWebhookSchema(exclude=["url"])  # it has one only where an API is reached
_ping, _emitted = PingSchema(), EmittedSchema()


class LocalBackend:
    """Whoever may read the container's settings may do everything here, so there are no clients and no scopes."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._storage, self._schedule = container.storage, container.schedule
        self._settings = container.settings

    def create_webhook(self, slug: str | None, attributes: Mapping[str, Any]) -> JSON:
        """The new webhook, with its signing secret."""
        account = self._account(slug)
        created = edit.create_webhook(self._storage, account.slug, attributes, settings=self._settings)
        return self._with_secret(created, account)

    def webhooks(self, slug: str | None, tag: str | None = None) -> list[JSON]:
        """All of the account, or those with the tag, oldest first."""
        account = self._account(slug)
        with written_in(account.time_zone):
            return [
                dict(_webhook.dump(one))
                for one in self._storage.read(webhooks.list_for_account, self._storage.secrets, account.id, tag=tag)
            ]

    def webhook(self, slug: str | None, webhook_id: int) -> JSON:
        """One, with its signing secret."""
        account = self._account(slug)
        secrets.show(self._storage, account.id, webhook_id)  # which the audit log records
        webhook = self._storage.read(webhooks.find, self._storage.secrets, account.id, webhook_id)
        return self._with_secret(webhook, account)

    def edit_webhook(self, slug: str | None, webhook_id: int, changes: Mapping[str, Any]) -> JSON:
        """The changed one, with its signing secret."""
        account = self._account(slug)
        edited = edit.edit_webhook(
            self._storage, self._schedule, account.slug, webhook_id, changes, settings=self._settings
        )
        secrets.show(self._storage, account.id, webhook_id)
        return self._with_secret(edited, account)

    def delete_webhook(self, slug: str | None, webhook_id: int) -> None:
        """Its pending deliveries are cancelled."""
        edit.delete_webhook(self._storage, self._account(slug).slug, webhook_id)

    def ping(self, slug: str | None, webhook_id: int, event_name: str | None) -> JSON:
        """The response to a ping, or to the example of an event."""
        pinged = self._container.pinger.ping(self._account(slug).slug, webhook_id, {"event_name": event_name})
        return dict(_ping.dump(pinged))

    def rotate_secret(self, slug: str | None, webhook_id: int, previous_valid_for_s: int) -> JSON:
        """The new signing secret."""
        account = self._account(slug)
        options = {"previous_valid_for_s": previous_valid_for_s}
        secret = secrets.rotate(self._storage, account.id, webhook_id, options)
        return signing_secret_json(secret, account.time_zone)

    def deliveries(self, slug: str | None, filters: Mapping[str, Any], limit: int) -> list[JSON]:
        """The newest `limit` that match, read page by page: no statement takes long."""
        account, narrowed = self._account(slug), dict(filters)
        records: list[JSON] = []
        while len(records) < limit:
            page = self._storage.transact(
                delivery_pages.page, slug=account.slug, limit=limit - len(records), **narrowed
            )
            records += [delivery_json(one) for one in page.deliveries]
            if page.before is None:
                break
            narrowed["before"] = page.before
        return records

    def delivery(self, slug: str | None, id_or_key: str) -> JSON:
        """One, with its attempts; of any account where none is given."""
        whose = {"account_id": self._account_id(slug)}
        return delivery_details_json(
            waiting.find(self._storage, self._schedule, self._container.settings, id_or_key, **whose)
        )

    def retry(self, slug: str | None, id_or_key: str) -> JSON:
        """The same, due now."""
        whose = {"account_id": self._account_id(slug)}
        return delivery_details_json(
            replay.retry_now(self._storage, self._schedule, self._container.settings, id_or_key, **whose)
        )

    def redeliver(self, slug: str | None, id_or_key: str) -> JSON:
        """The same, pending again."""
        limit, account_id = self._settings.redelivery_limit, self._account_id(slug)
        return delivery_details_json(
            replay.replay(self._storage, self._schedule, id_or_key, limit=limit, account_id=account_id)
        )

    def start_replay(self, slug: str | None, criteria: Mapping[str, Any]) -> JSON:
        """A new replay of what meets the criteria (dispatcher.schemas.api.replay)."""
        account, limit = self._account(slug), self._settings.redelivery_limit
        return replay_json(job.start(self._storage, self._schedule, account, criteria, redelivery_limit=limit))

    def count_replay(self, slug: str | None, criteria: Mapping[str, Any]) -> int:
        """How many deliveries it would send."""
        account, limit = self._account(slug), self._settings.redelivery_limit
        return job.dry_run(self._storage, account, criteria, redelivery_limit=limit)

    def replays(self, slug: str | None) -> list[JSON]:
        """The newest of the account."""
        return [replay_json(one) for one in self._storage.read(jobs.list_for_account, self._account(slug).id)]

    def replay(self, slug: str | None, replay_id: int) -> JSON:
        """One replay; of any account where none is given."""
        return replay_json(self._storage.read(jobs.find, replay_id, account_id=self._account_id(slug)))

    def stop_replay(self, slug: str | None, replay_id: int) -> JSON:
        """The same, stopped."""
        return replay_json(job.stop(self._storage, replay_id, account_id=self._account_id(slug)))

    def resume_replay(self, slug: str | None, replay_id: int) -> JSON:
        """The same, running again."""
        return replay_json(job.resume(self._storage, replay_id, account_id=self._account_id(slug)))

    def emit(self, slug: str | None, name: str, body: Mapping[str, Any], idempotency_key: str | None) -> JSON:
        """The stored event."""
        account = self._account(slug)
        new = NewEvent(name=name, body=body, idempotency_key=idempotency_key)
        (event,) = self._container.emitter.emit(account, [new])
        with written_in(account.time_zone):
            return dict(_emitted.dump(event))

    def _account(self, slug: str | None) -> Account:
        if slug is None:
            raise click.UsageError("Missing option '--account'.")
        return self._storage.read(accounts.find, slug)

    def _account_id(self, slug: str | None) -> int | None:
        return None if slug is None else self._account(slug).id

    def _with_secret(self, webhook: Webhook, account: Account) -> JSON:
        with written_in(account.time_zone):
            return {**_webhook.dump(webhook), "signing_secret": webhook.signing_secret}
