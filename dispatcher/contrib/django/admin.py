"""Pages of the admin: webhooks, and deliveries with their attempts, to be read and redelivered.

What changes a webhook is the dispatcher's own console and API: they check addresses and keep secrets encrypted.
"""

from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from dispatcher.contrib.django.models import AttemptRecord, DeliveryRecord, WebhookRecord
from dispatcher.errors import DeliveryNotFound, IllegalTransition

_COUNTED = 10_000


class _Paginator(Paginator):
    """Counts no more rows than anybody pages through: there may be millions, in many partitions."""

    @cached_property
    def count(self) -> int:
        """At most `_COUNTED`."""
        counted: int = self.object_list.order_by()[:_COUNTED].count()
        return counted


class _ReadOnly:
    """For an admin, and for an inline one."""

    fields: tuple[str, ...]

    def has_add_permission(self, *_: Any) -> bool:
        return False

    has_delete_permission = has_add_permission

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields


@admin.register(WebhookRecord)
class WebhookAdmin(_ReadOnly, admin.ModelAdmin):
    """Those that are not deleted."""

    fields = ("__str__", "account", "events", "active", "description", "failing_since", "deactivated_reason")
    list_display = ("__str__", "account", "active", "failing_since", "deactivated_reason")
    list_filter = ("active",)
    list_select_related = ("account",)
    search_fields = ("webhook_url", "account__slug")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Of all accounts."""
        return super().get_queryset(request).filter(deleted_at=None)


class _Attempts(_ReadOnly, admin.TabularInline):
    model = AttemptRecord
    fields = ("number", "status", "reason", "body", "started_at", "finished_at")
    extra = 0

    def has_change_permission(self, *_: Any) -> bool:
        return False


@admin.register(DeliveryRecord)
class DeliveryAdmin(_ReadOnly, admin.ModelAdmin):
    """Newest first."""

    fields = ("event", "webhook", "idempotency_key", "state", "attempt_count", "next_attempt_at", "created_at")
    list_display = ("id", "event", "webhook", "state", "attempt_count", "created_at")
    list_filter = ("state",)
    list_select_related = ("event", "webhook")
    search_fields = ("=id", "=idempotency_key")
    ordering = ("-id",)
    paginator = _Paginator
    show_full_result_count = False
    inlines = (_Attempts,)
    actions = ("redeliver",)

    @admin.action(description="Redeliver the selected deliveries", permissions=["change"])
    def redeliver(self, request: HttpRequest, deliveries: QuerySet) -> None:
        """Makes finished ones pending again, with the same Idempotency-Key and a new series of attempts."""
        from dispatcher.current import current_container  # noqa: PLC0415 -- a service that only emits has no server
        from dispatcher.replays.one import replay  # noqa: PLC0415 -- the same

        container = current_container()
        queued = 0
        for delivery in deliveries:
            try:
                limit = container.settings.redelivery_limit
                replay(container.storage, container.schedule, str(delivery.pk), limit=limit)
            except (IllegalTransition, DeliveryNotFound) as error:
                self.message_user(request, str(error), messages.WARNING)
            else:
                queued += 1
        if queued:
            self.message_user(request, f"Redelivery queued: {queued}", messages.SUCCESS)
