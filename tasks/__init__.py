"""Celery's side: the workers' app (`-A dispatcher.tasks`: celery.py), thin tasks, and Flower's app (flower.py).

Nobody imports it but Celery, and always as `dispatcher.tasks`.
"""
