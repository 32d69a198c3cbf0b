"""Settings, URLs, queue and logging of the Framedeck site."""

from project.celery import app as celery_app

__all__ = ("celery_app",)
