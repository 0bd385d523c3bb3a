"""Django's models emit by themselves what is changed, when it is changed, and nothing else."""

import logging
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from dispatcher.contrib.django import emit, emit_changes, emits, register
from dispatcher.errors import AccountNotFound
from dispatcher.schemas import InvalidEvent
from tests.integration.contrib.conftest import Emitted
from tests.support.django_shop.models import Contact, Invoice, Label, Silent

pytestmark = pytest.mark.usefixtures("account")


def names(emitted: Emitted) -> list[str]:
    return [name for name, _ in emitted()]


@pytest.fixture
def invoice(emitted: Emitted) -> Invoice:
    """As it was read from the database; what its creation emitted is taken."""
    made = Invoice.objects.create(number="2026-1", total="10.00")
    emitted()
    read: Invoice = Invoice.objects.get(pk=made.pk)
    return read


def test_a_new_row_emits_its_resource(emitted: Emitted) -> None:
    made = Invoice.objects.create(number="2026-1", total=Decimal("10.50"))

    body = {"id": made.pk, "number": "2026-1", "status": "open", "total": "10.50"}
    assert emitted() == [("invoice_created", {"invoice": body})]


def test_an_update_is_told_by_what_has_changed(invoice: Invoice, emitted: Emitted) -> None:
    invoice.number = "2026-2"
    invoice.save()
    invoice.status = "sent"
    invoice.save()
    invoice.status = "paid"
    invoice.save()

    assert names(emitted) == ["invoice_updated", "invoice_sent", "invoice_updated"]


def leave(_: Invoice) -> None:
    pass


def set_the_same(invoice: Invoice) -> None:
    invoice.total = "10.00"  # as a form would, and not a Decimal
    invoice.number = "2026-1"


def change_what_is_not_watched(invoice: Invoice) -> None:
    invoice.internal = "for our eyes only"


def change_and_read_again(invoice: Invoice) -> None:
    invoice.number = "2026-2"
    invoice.refresh_from_db()


@pytest.mark.parametrize("change", [leave, set_the_same, change_what_is_not_watched, change_and_read_again])
def test_a_save_that_changes_nothing_emits_nothing(
    invoice: Invoice, emitted: Emitted, change: Callable[[Invoice], None]
) -> None:
    change(invoice)
    invoice.save()
    invoice.save()

    assert emitted() == []


def test_what_another_has_changed_is_not_told_twice(invoice: Invoice, emitted: Emitted) -> None:
    Invoice.objects.filter(pk=invoice.pk).update(number="2026-2")
    invoice.refresh_from_db(fields=["number"])
    invoice.save()

    assert emitted() == []


def test_only_the_fields_that_are_written_count(invoice: Invoice, emitted: Emitted) -> None:
    invoice.number = "2026-2"
    invoice.save(update_fields=["internal"])
    assert emitted() == []

    invoice.save(update_fields=["number"])
    assert names(emitted) == ["invoice_updated"]


def test_a_change_within_a_value_is_one(invoice: Invoice, emitted: Emitted) -> None:
    invoice.details["terms"] = "net 30"
    invoice.save()
    invoice.save()

    assert names(emitted) == ["invoice_updated"]


def test_a_deferred_field_is_no_change_until_it_is_set(invoice: Invoice, emitted: Emitted) -> None:
    deferred = Invoice.objects.defer("number").get(pk=invoice.pk)
    deferred.save()
    assert deferred.number == "2026-1"
    deferred.save()
    assert emitted() == []

    deferred = Invoice.objects.defer("number").get(pk=invoice.pk)
    deferred.number = "2026-2"
    deferred.save()
    assert names(emitted) == ["invoice_updated"]


def test_a_row_that_was_never_read_is_changed_by_all_that_is_written(invoice: Invoice, emitted: Emitted) -> None:
    Invoice(pk=invoice.pk, number="2026-1", total="10.00").save()

    assert names(emitted) == ["invoice_updated"]


def test_an_expression_is_told_by_its_value(invoice: Invoice, emitted: Emitted) -> None:
    invoice.total = F("total") + 1
    invoice.save()

    ((name, body),) = emitted()
    assert name == "invoice_updated"
    assert float(body["invoice"]["total"]) == 11


def test_a_deleted_row_emits_what_it_was(invoice: Invoice, emitted: Emitted) -> None:
    id_ = invoice.pk
    invoice.delete()

    ((name, body),) = emitted()
    assert name == "invoice_removed"
    assert body["invoice"]["id"] == id_


def test_each_row_of_a_queryset_that_is_deleted_emits(emitted: Emitted) -> None:
    for number in range(3):
        Invoice.objects.create(number=str(number))
    emitted()

    Invoice.objects.all().delete()

    assert names(emitted) == ["invoice_removed"] * 3


def test_labels_that_are_added_removed_and_cleared_are_updates(invoice: Invoice, emitted: Emitted) -> None:
    urgent, late = Label.objects.create(name="urgent"), Label.objects.create(name="late")
    for change, count in [
        (lambda: invoice.labels.add(urgent), 1),
        (lambda: invoice.labels.add(urgent), 0),
        (lambda: invoice.labels.remove(late), 0),
        (lambda: invoice.labels.remove(urgent), 1),
        (lambda: invoice.labels.clear(), 0),
        (lambda: invoice.labels.set([urgent, late]), 1),
        (lambda: invoice.labels.set([urgent, late]), 0),
        (lambda: invoice.labels.clear(), 1),
    ]:
        change()
        assert names(emitted) == ["invoice_updated"] * count


def test_labels_changed_from_their_side_update_each_invoice(emitted: Emitted) -> None:
    invoices = [Invoice.objects.create(number=str(number)) for number in range(3)]
    label = Label.objects.create(name="urgent")
    emitted()

    label.invoices.add(*invoices[:2])
    assert sorted(body["invoice"]["id"] for _, body in emitted()) == [invoices[0].pk, invoices[1].pk]
    label.invoices.remove(invoices[0], invoices[2])
    assert [body["invoice"]["id"] for _, body in emitted()] == [invoices[0].pk]
    label.invoices.clear()
    assert [body["invoice"]["id"] for _, body in emitted()] == [invoices[1].pk]


class Undo(Exception):
    pass


@contextmanager
def rolled_back() -> Iterator[None]:
    with suppress(Undo), transaction.atomic():
        yield
        raise Undo


def test_an_event_is_undone_with_its_change(invoice: Invoice, emitted: Emitted) -> None:
    with rolled_back():
        invoice.number = "2026-2"
        invoice.save()
        invoice.labels.add(Label.objects.create(name="urgent"))
        invoice.delete()

    assert emitted() == []
    assert Invoice.objects.get().number == "2026-1"


def test_a_change_that_was_undone_is_one_again(invoice: Invoice, emitted: Emitted) -> None:
    with transaction.atomic():
        invoice.number = "2026-2"
        invoice.save()
        with rolled_back():
            invoice.number = "2026-3"
            invoice.save()
        invoice.save()  # the row has 2026-2
        invoice.save()
    assert names(emitted) == ["invoice_updated"] * 2

    with rolled_back():
        invoice.number = "2026-4"
        invoice.save()
    invoice.save()
    invoice.save()
    assert names(emitted) == ["invoice_updated"]
    assert Invoice.objects.get().number == "2026-4"


def test_without_a_transaction_the_change_is_undone_with_its_event(emitted: Emitted) -> None:
    with pytest.raises(AccountNotFound):
        Invoice.objects.create(number="2026-1", shop="pearcorp")
    with pytest.raises(InvalidEvent):
        Invoice.objects.create(number=1)

    assert not Invoice.objects.exists()
    assert emitted() == []


def test_a_save_costs_one_statement_more() -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        for _ in range(2):
            Contact.objects.create(name="Ada")

    statements = [query["sql"].split()[0].lower() for query in queries]
    assert statements == ["insert", "select", "with", "insert", "with"]  # the account is looked up for the first event


def test_what_is_invalid_is_logged_where_that_is_asked_for(emitted: Emitted, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), transaction.atomic():
        Contact.objects.create(name=7)
        Contact.objects.create(name="Ada")

    assert [body["subject"]["name"] for _, body in emitted()] == ["Ada"]
    assert Contact.objects.count() == 2
    assert [record.message for record in caplog.records] == [
        "model_event.invalid name=subject_created account=applecorp error=subject_created: subject.name: not a string"
    ]


def test_bulk_operations_emit_by_a_helper(emitted: Emitted) -> None:
    with transaction.atomic():
        made = Invoice.objects.bulk_create(Invoice(number=str(number)) for number in range(3))
        emit_changes("created", made)
    assert [(name, body["invoice"]["id"]) for name, body in emitted()] == [("invoice_created", i.pk) for i in made]

    Invoice.objects.update(status="paid")
    emit_changes("updated", Invoice.objects.order_by("pk"))
    assert [(name, body["invoice"]["status"]) for name, body in emitted()] == [("invoice_updated", "paid")] * 3

    with pytest.raises(LookupError, match=r"django_shop\.Silent is not registered"):
        emit_changes("created", [Silent(name="x")])


def test_one_event_by_itself_joins_the_transaction(emitted: Emitted) -> None:
    with rolled_back():
        emit("inbox_file_removed_all", account="applecorp", inbox_files={"count": 1})
    emit("inbox_file_removed_all", account="applecorp", inbox_files={"count": 2})

    assert emitted() == [("inbox_file_removed_all", {"inbox_files": {"count": 2}})]


def test_where_the_event_cannot_be_stored_the_change_is_not(invoice: Invoice, emitted: Emitted) -> None:
    with connection.cursor() as cursor:
        cursor.execute("alter table dispatcher.events_waiting add constraint never check (false) not valid")
    invoice.number = "2026-2"
    with pytest.raises(DatabaseError):
        invoice.save()
    with connection.cursor() as cursor:
        cursor.execute("alter table dispatcher.events_waiting drop constraint never")

    assert emitted() == []
    assert Invoice.objects.get().number == "2026-1"


def test_a_model_is_registered_once() -> None:
    with pytest.raises(ValueError, match=r"django_shop\.Invoice is registered already"):
        register(Invoice, "invoice", account="applecorp")
    with pytest.raises(ValueError, match=r"django_shop\.Invoice is registered already"):
        emits("invoice", account="applecorp")(Invoice)


def test_a_test_case_of_django_sees_the_events_and_undoes_them(emitted: Emitted) -> None:
    class ShopTests(TestCase):
        def test_creating(self) -> None:
            with self.captureOnCommitCallbacks(execute=True):
                made = Invoice.objects.create(number="2026-1")
            made.save()
            with connection.cursor() as cursor:
                cursor.execute("select name from dispatcher.events_waiting")
                assert cursor.fetchall() == [("invoice_created",)]

    result = unittest.TestResult()
    unittest.TestSuite([ShopTests("test_creating")]).run(result)

    assert result.testsRun == 1
    assert result.failures == result.errors == []
    assert emitted() == []
