"""A Django app: models that emit by themselves, pages of the admin, checks, and `manage.py dispatcher`.

INSTALLED_APPS = [..., "dispatcher.contrib.django"]
"""

from dispatcher.contrib.django.emitting import emit, emit_changes
from dispatcher.contrib.django.registry import emits, register

__all__ = ["emit", "emit_changes", "emits", "register"]
