"""The one way work gets onto the queue: by the task's name, once the transaction is kept."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction


def enqueue(task: str, **kwargs: Any) -> None:
    """Send a task by its name when the current transaction commits, at once outside of one.

    Actions sit below tasks, so they know them by name only: `frames.render_previews` and so on.
    """
    transaction.on_commit(partial(current_app.send_task, task, kwargs=kwargs))
