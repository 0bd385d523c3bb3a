"""The app: `dispatcher.contrib.django` in INSTALLED_APPS."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import m2m_changed, post_migrate

from dispatcher.contrib.django.databases import migrate, use_the_database


class DispatcherConfig(AppConfig):
    """Its models are the dispatcher's tables, which `manage.py migrate` makes, too: also in a database of tests."""

    name = "dispatcher.contrib.django"
    label = "dispatcher"
    verbose_name = "Webhooks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connects what does not belong to one model."""
        from dispatcher.contrib.django import checks, registry  # noqa: F401, PLC0415 -- models are loaded by then

        m2m_changed.connect(registry.m2m_emits)
        post_migrate.connect(_migrate, sender=self)
        use_the_database()


def _migrate(using: str, plan: Any = None, **_: Any) -> None:
    """A flush sends the signal as well, without a plan: after each TransactionTestCase."""
    if plan is not None:
        migrate(using)
