"""Celery's side: the app and thin tasks. Nobody imports it but Celery."""

from tasks.celery import app

__all__ = ["app"]
