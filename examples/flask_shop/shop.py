"""A shop in Flask, on Flask-SQLAlchemy. Its invoices emit by themselves, and a view emits what only it knows.

`python shop.py` creates its tables; README.md says how to run it.
"""

import os
from datetime import UTC, date, datetime
from decimal import Decimal

from flask import Flask, abort, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, Numeric
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dispatcher import emit
from dispatcher.contrib.model_events import ModelEvents
from dispatcher.contrib.sqlalchemy import listen


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db.init_app(app)


class Invoice(db.Model):
    __tablename__ = "shop_invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str]
    status: Mapped[str] = mapped_column(default="open")
    total: Mapped[Decimal] = mapped_column(Numeric(10, 2))


class Payment(db.Model):
    __tablename__ = "shop_payments"
    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("shop_invoices.id"), unique=True)
    paid_on: Mapped[date] = mapped_column(default=lambda: datetime.now(UTC).date())


# invoice_created, invoice_updated and invoice_removed, in the transaction of each change.
listen(db.session, {Invoice: ModelEvents(resource="invoice", account="applecorp")})


@app.post("/invoices")
def create() -> tuple[dict[str, int], int]:
    new = request.get_json()
    with db.session.begin():
        invoice = Invoice(number=new["number"], total=Decimal(new["total"]))
        db.session.add(invoice)
        db.session.flush()
        return {"id": invoice.id}, 201


@app.post("/invoices/<int:id_>/payment")
def pay(id_: int) -> tuple[dict[str, str], int]:
    with db.session.begin():
        invoice = db.session.get(Invoice, id_, with_for_update=True) or abort(404)
        payment = Payment(invoice_id=invoice.id)
        invoice.status = "paid"
        db.session.add(payment)
        db.session.flush()
        emit("invoice_paid", account="applecorp", connection=db.session, invoice=invoice, payment=payment)
        if invoice.total > 1_000_000:  # too late, and so neither the payment nor its events are there
            abort(422, "The total is too large")
        return {"status": invoice.status}, 201


if __name__ == "__main__":
    with app.app_context():
        db.create_all()
