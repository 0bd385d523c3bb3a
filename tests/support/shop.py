"""A company's own catalogue, in plain marshmallow."""

from typing import Any

from marshmallow import Schema, fields, validate

from dispatcher.schemas import Catalogue


class LineSchema(Schema):
    sku = fields.String(required=True)
    count = fields.Integer(required=True, validate=validate.Range(min=1))
    price = fields.Decimal(as_string=True)


class OrderSchema(Schema):
    id = fields.UUID(required=True, dump_only=True)
    number = fields.String(required=True)
    total = fields.Decimal(as_string=True)
    email = fields.Email(data_key="customerEmail", metadata={"description": "The customer's."})
    placed_at = fields.DateTime(allow_none=True)
    paid = fields.Boolean()
    weight = fields.Decimal()
    state = fields.String(validate=validate.OneOf(["new", "sent"]))
    lines = fields.List(fields.Nested(LineSchema))
    internal_note = fields.String(load_only=True)


class ParcelSchema(Schema):
    carrier = fields.String(required=True)


class CustomerSchema(Schema):
    login = fields.String(required=True)


def a_catalogue(envelope: str = "standard", name: str = "shop") -> Catalogue:
    catalogue = Catalogue(name, envelope=envelope)
    order = catalogue.resource("order", OrderSchema, label="number")
    customer = catalogue.resource("customer", CustomerSchema, id="login")
    catalogue.event("order.created", order)
    catalogue.event("order.updated", order, supersedes=True)
    catalogue.event("order.shipped", order, parcel=ParcelSchema, description="Left the warehouse.")
    catalogue.event("order.split", order, parcels=ParcelSchema(many=True), note=fields.String())
    catalogue.event("customer_removed", customer)
    return catalogue


class ReferencedOrderSchema(Schema):
    """The order as a later release has it: its number is called a reference, and its total has a currency."""

    id = fields.UUID(required=True)
    reference = fields.String(required=True)
    total = fields.Nested(
        Schema.from_dict({"amount": fields.Decimal(as_string=True), "currency": fields.String()}, name="MoneySchema")
    )


def with_number(body: dict[str, Any]) -> dict[str, Any]:
    """Version 2 of an order that was shipped → version 1."""
    order = body["order"]
    order["number"] = order.pop("reference")
    if "total" in order:
        order["total"] = order["total"]["amount"]
    return body


def a_versioned_catalogue() -> Catalogue:
    """The same, but `order.shipped` has a second version."""
    catalogue = a_catalogue()
    catalogue.event(
        "order.shipped",
        catalogue.events["order.shipped"].about,
        version=2,
        schema=ReferencedOrderSchema,
        downgrade=with_number,
        parcel=ParcelSchema,
    )
    return catalogue


catalogue = a_catalogue()
