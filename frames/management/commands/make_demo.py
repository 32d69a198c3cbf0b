"""manage.py make_demo: make the demo project's pictures, videos and datasets."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from frames.demo.make import make_demo


class Command(BaseCommand):
    """Make what is missing of the demo; safe to run again, also after it was killed."""

    help = "Make the demo project: a rendered drive and still pictures, with exact labels."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the demo and say how many frames it has."""
        jobs = make_demo(self.stdout.write)
        self.stdout.write(
            f"The demo has {sum(job.imported + job.unchanged for job in jobs)} frames."
        )
