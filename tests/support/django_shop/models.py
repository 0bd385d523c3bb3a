"""A shop's invoices, which emit by themselves."""

from collections.abc import Mapping
from typing import Any

from django.db import models

from dispatcher.contrib.django import emits, register


class Label(models.Model):
    name = models.CharField(max_length=20)


def changed(invoice: Any, changes: Mapping[str, tuple[Any, Any]]) -> str:
    return "invoice_sent" if changes.get("status") == ("open", "sent") else "invoice_updated"


@emits(
    "invoice",
    account=lambda invoice: invoice.shop,
    updated=changed,
    fields=("number", "status", "total", "details", "labels"),
)
class Invoice(models.Model):
    shop = models.CharField(max_length=20, default="applecorp")
    number = models.CharField(max_length=20)
    status = models.CharField(max_length=20, default="open")
    total = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    details = models.JSONField(default=dict)
    internal = models.TextField(default="")
    changed_at = models.DateTimeField(auto_now=True)
    labels = models.ManyToManyField(Label, related_name="invoices")


class Contact(models.Model):
    name = models.CharField(max_length=20)
    saved_at = models.DateTimeField(auto_now=True)


register(
    Contact, "subject", account="applecorp", deleted=None, on_invalid="log",
    body=lambda contact: {"subject": {"id": contact.pk, "name": contact.name}},
)  # fmt: skip


class Silent(models.Model):
    """Emits nothing."""

    name = models.CharField(max_length=20)
