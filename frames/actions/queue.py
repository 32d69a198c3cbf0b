"""The one way work gets onto the queue: by the task's name, once the transaction is kept."""

from __future__ import annotations

from typing import Any

from celery import current_app
from django.db import transaction


def enqueue(task: str, **kwargs: Any) -> None:
    """Send a task by its name when the current transaction commits, at once outside of one.

    Actions sit below tasks, so they know them by name only: `frames.render_previews` and so on.
    A queue that cannot be reached is logged and not raised: what is committed stays, and the
    sweep sends again what waits in the rows.
    """

    def send() -> None:
        current_app.send_task(task, kwargs=kwargs)

    transaction.on_commit(send, robust=True)
