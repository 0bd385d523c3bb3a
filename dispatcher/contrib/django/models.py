"""The dispatcher's tables, to be read: its own code writes them, and its migrations make them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from dispatcher.model.delivery import State
from dispatcher.producer_settings import read_producer_settings


def _table(name: str) -> str:
    """With its schema: Django takes a name that is in quotes as it is."""
    return f'"{read_producer_settings().schema}"."{name}"'


class AccountRecord(models.Model):
    """Whose webhooks and events they are. A test makes its own; `dispatcher account create` also makes an owner."""

    id = models.AutoField(primary_key=True)
    slug = models.TextField()
    time_zone = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        managed = False
        db_table = _table("accounts")
        verbose_name = "account"

    def __str__(self) -> str:
        return str(self.slug)


class WebhookRecord(models.Model):
    """An endpoint and the events it wants."""

    id = models.IntegerField(primary_key=True)
    account = models.ForeignKey(AccountRecord, models.DO_NOTHING)
    webhook_url = models.TextField("URL")
    events = ArrayField(models.TextField())
    active = models.BooleanField()
    description = models.TextField(null=True)
    failing_since = models.DateTimeField(null=True)
    deactivated_at = models.DateTimeField("disabled at", null=True)
    deactivated_reason = models.TextField("disabled because", null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = _table("webhooks")
        verbose_name = "webhook"

    def __str__(self) -> str:
        return str(self.webhook_url).partition("?")[0]  # what follows may be a secret


class EventRecord(models.Model):
    """What happened."""

    id = models.BigIntegerField(primary_key=True)
    account = models.ForeignKey(AccountRecord, models.DO_NOTHING, db_constraint=False)
    name = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = _table("events")
        verbose_name = "event"

    def __str__(self) -> str:
        return str(self.name)


class DeliveryRecord(models.Model):
    """One event for one webhook."""

    id = models.BigIntegerField(primary_key=True)
    event = models.ForeignKey(EventRecord, models.DO_NOTHING, db_constraint=False)
    webhook = models.ForeignKey(WebhookRecord, models.DO_NOTHING, db_constraint=False)
    idempotency_key = models.UUIDField()
    state = models.TextField(choices=[(state.value, state.value) for state in State])
    attempt_count = models.SmallIntegerField("attempts")
    next_attempt_at = models.DateTimeField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = _table("deliveries")
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class AttemptRecord(models.Model):
    """One POST of a delivery, and the response."""

    id = models.BigIntegerField(primary_key=True)
    delivery = models.ForeignKey(DeliveryRecord, models.DO_NOTHING, db_constraint=False)
    number = models.SmallIntegerField()
    status = models.TextField()
    reason = models.TextField(null=True)
    body = models.TextField("response", null=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = _table("attempts")
        verbose_name = "attempt"
        ordering = ("number", "id")

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.status}"
