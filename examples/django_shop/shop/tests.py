"""What the shop emits is seen in a test case, and undone with it.

`DATABASE_URL=postgresql://... python manage.py test` runs these, on a database that it makes.
"""

from django.test import TestCase

from dispatcher.contrib.django.models import AccountRecord, EventRecord
from shop.models import Invoice


def emitted() -> list[str]:
    return list(EventRecord.objects.order_by("id").values_list("name", flat=True))


class PaymentTests(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        AccountRecord.objects.create(slug="applecorp", time_zone="Europe/Prague")

    def test_a_payment_emits(self) -> None:
        invoice = Invoice.objects.create(number="2026-1", total="1089.00")
        response = self.client.post(f"/invoices/{invoice.pk}/payment")

        self.assertEqual(response.status_code, 201)
        self.assertEqual(emitted(), ["invoice_created", "invoice_paid"])

    def test_a_payment_that_is_refused_emits_nothing(self) -> None:
        invoice = Invoice.objects.create(number="2026-1", total="2000000.00")
        response = self.client.post(f"/invoices/{invoice.pk}/payment")

        self.assertEqual(response.status_code, 400)
        self.assertEqual(emitted(), ["invoice_created"])
