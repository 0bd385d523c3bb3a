"""A shop in FastAPI, on SQLAlchemy's AsyncSession over asyncpg. Its events belong to its own transactions.

`python shop.py` creates its tables; README.md says how to run it.
"""

import asyncio
import os
from datetime import UTC, date, datetime
from decimal import Decimal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import ForeignKey, Numeric
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dispatcher import aemit

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1))
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "shop_invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str]
    status: Mapped[str] = mapped_column(default="open")
    total: Mapped[Decimal] = mapped_column(Numeric(10, 2))


class Payment(Base):
    __tablename__ = "shop_payments"
    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("shop_invoices.id"), unique=True)
    paid_on: Mapped[date] = mapped_column(default=lambda: datetime.now(UTC).date())


class NewInvoice(BaseModel):
    number: str
    total: Decimal


@app.post("/invoices", status_code=201)
async def create(new: NewInvoice) -> dict[str, int]:
    async with sessions.begin() as session:
        invoice = Invoice(number=new.number, total=new.total)
        session.add(invoice)
        await session.flush()
        await aemit("invoice_created", account="applecorp", connection=session, invoice=invoice)
    return {"id": invoice.id}


@app.post("/invoices/{id_}/payment", status_code=201)
async def pay(id_: int) -> dict[str, str]:
    async with sessions.begin() as session:
        invoice = await session.get(Invoice, id_, with_for_update=True)
        if invoice is None:
            raise HTTPException(404)
        payment = Payment(invoice_id=invoice.id)
        invoice.status = "paid"
        session.add(payment)
        await session.flush()
        await aemit("invoice_paid", account="applecorp", connection=session, invoice=invoice, payment=payment)
        if invoice.total > 1_000_000:  # too late, and so neither the payment nor its event is there
            raise HTTPException(422, "The total is too large")
    return {"status": invoice.status}


async def create_tables() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(create_tables())
