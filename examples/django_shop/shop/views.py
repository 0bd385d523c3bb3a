"""They only save: the models emit."""

import json
from decimal import Decimal

from django.core.exceptions import BadRequest
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from shop.models import Invoice, Payment


@require_POST
def create(request: HttpRequest) -> JsonResponse:
    new = json.loads(request.body)
    invoice = Invoice.objects.create(number=new["number"], total=Decimal(new["total"]))
    return JsonResponse({"id": invoice.pk}, status=201)


@require_POST
@transaction.atomic
def pay(request: HttpRequest, id_: int) -> JsonResponse:
    invoice = get_object_or_404(Invoice.objects.select_for_update(), pk=id_)
    invoice.status = "paid"
    invoice.save()
    Payment.objects.create(invoice=invoice)
    if invoice.total > 1_000_000:  # too late, and so neither the payment nor its event is there
        raise BadRequest("The total is too large")
    return JsonResponse({"status": invoice.status}, status=201)
