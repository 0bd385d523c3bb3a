"""Celery's side: the workers' app (`-A tasks`: celery.py), thin tasks, and Flower's app (`-A tasks.flower`).

Nobody imports it but Celery.
"""
