"""A Django service for `bench.django_view`: the same change of a row with an event, and without one.

`python -m bench.django_shop PORT` serves it on the database of DATABASE_URL, which has its table `shop_order`; it keeps
connections for CONN_MAX_AGE seconds.
"""

import os
import sys
from urllib.parse import unquote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from bench.load import EVENT, body
from dispatcher import emit

ACCOUNT = "shop0"

_url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _url.path.strip("/"),
            "USER": _url.username,
            "PASSWORD": unquote(_url.password or ""),
            "HOST": _url.hostname,
            "PORT": _url.port,
            "CONN_MAX_AGE": int(os.environ["CONN_MAX_AGE"]),
        }
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="bench only",
    USE_TZ=True,
)
django.setup()


class Order(models.Model):
    """What a request changes."""

    total = models.IntegerField()

    class Meta:  # noqa: D106 - Django's own form
        app_label = "shop"


def _plain(_: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        order = Order.objects.create(total=1)
    return JsonResponse({"id": order.pk})


def _emitting(_: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        order = Order.objects.create(total=1)
        emit(EVENT, account=ACCOUNT, connection=connection, **body())
    return JsonResponse({"id": order.pk})


urlpatterns = [path("plain", _plain), path("emitting", _emitting)]


class _Quiet(WSGIRequestHandler):
    """Says nothing of each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing."""


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), handler_class=_Quiet).serve_forever()
