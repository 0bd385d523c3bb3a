"""Two requests of the shop, and the admin, in which the dispatcher has pages."""

from django.contrib import admin
from django.urls import path

from shop import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("invoices", views.create),
    path("invoices/<int:id_>/payment", views.pay),
]
