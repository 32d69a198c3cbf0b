"""The Celery application; its settings are those of Django that start with CELERY_."""

from __future__ import annotations

import os
import warnings
from typing import Any

import structlog
from celery import Celery, Task
from celery.exceptions import SecurityWarning
from celery.signals import beat_embedded_init, setup_logging, worker_process_init
from django_structlog.celery.signals import bind_extra_task_metadata
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu.transport import TRANSPORT_ALIASES

from project.processes import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
TRANSPORT_ALIASES["files"] = "project.file_queue:Transport"

# Celery warns of root because of pickle; here messages are JSON alone.
warnings.filterwarnings("ignore", "You're running the worker", SecurityWarning)

app = Celery("framedeck")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def _keep_logging(**kwargs: Any) -> None:
    """Leave logging as Django's settings have set it up."""


@bind_extra_task_metadata.connect
def _name_the_task(task: Task[Any, Any], **kwargs: Any) -> None:
    """Say in each log line of a task which one it is."""
    structlog.contextvars.bind_contextvars(task=task.name)


@worker_process_init.connect
@beat_embedded_init.connect
def _end_with_worker(**kwargs: Any) -> None:
    """A worker that is killed takes its processes with it, so that none works on unseen."""
    die_with_parent(os.getppid())
