"""Invoices and payments. Saving them emits; no view has to think of it."""

from django.db import models

from dispatcher.contrib.django import emits


@emits("invoice", account="applecorp", deleted=None, fields=("number", "total"))
class Invoice(models.Model):
    number = models.CharField(max_length=20)
    status = models.CharField(max_length=20, default="open")
    total = models.DecimalField(max_digits=10, decimal_places=2)

    def __str__(self) -> str:
        return str(self.number)


@emits(
    "invoice",
    account="applecorp",
    created="invoice_paid",
    updated=None,
    deleted=None,
    body=lambda payment: {"invoice": payment.invoice, "payment": payment},
)
class Payment(models.Model):
    invoice = models.OneToOneField(Invoice, models.CASCADE)
    paid_on = models.DateField(auto_now_add=True)
