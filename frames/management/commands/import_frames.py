"""manage.py import_frames: import a manifest, a folder or a video from the terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from frames.actions import imports, previews
from frames.actions.datasets import create_project
from frames.actions.fields import Refused
from frames.models import Dataset, Grant, Job, Preview, Project

if TYPE_CHECKING:
    from argparse import ArgumentParser

DEFAULT_PROJECT: Final = "Default"
_ERRORS_SHOWN: Final = 20


class Command(BaseCommand):
    """Import now, showing progress; the operator may read any path."""

    help = (
        "Import a SingleFrame manifest (JSON, JSON lines), a COCO instances file, a folder of "
        "pictures, a video or a folder of videos into the draft of a dataset."
    )
    # They would load every page of the site: 0.9 s, in which 10,000 frames are read.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the path and what it is for."""
        parser.add_argument("path", help="a file, a folder, or an s3:// or gs:// address")
        parser.add_argument("--dataset", required=True, help="its name; made if there is none")
        parser.add_argument("--project", default=DEFAULT_PROJECT, help="its name; made likewise")
        parser.add_argument("--strict", action="store_true", help="import all frames or none")
        parser.add_argument("--images", help="the folder of a COCO file's pictures")
        step = parser.add_mutually_exclusive_group()
        step.add_argument("--every-frames", type=int, metavar="N", help="videos: each Nth frame")
        step.add_argument("--every-ms", type=float, metavar="T", help="videos: a frame each T ms")
        parser.add_argument(
            "--wait-previews", action="store_true", help="end when all previews are made"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, and end with the line `imported N frames, M failed`."""
        wanted = {
            name: options[name]
            for name in ("images", "every_frames", "every_ms")
            if options[name] is not None
        }
        try:
            job = imports.import_path(
                options["path"],
                dataset_name=options["dataset"],
                project=self._project(options["project"]),
                options=wanted,
                strict=options["strict"],
                progress=self._progress if sys.stderr.isatty() else None,
            )
        except Refused as error:
            raise CommandError(str(error)) from error
        except OperationalError as error:
            raise CommandError(
                f"The database takes no writes: {error}. Nothing was imported. "
                "Make room, then import again."
            ) from error
        for problem in job.errors.all()[:_ERRORS_SHOWN]:
            self.stderr.write(f"frame {problem.index}: {problem.path}: {problem.reason}")
        if job.failed > _ERRORS_SHOWN:
            self.stderr.write(f"and {job.failed - _ERRORS_SHOWN} more: /jobs/{job.uid}/")
        if job.state != Job.State.DONE:
            self.stdout.write(f"imported 0 frames, {job.failed} failed")
            raise CommandError(job.message)
        if options["wait_previews"]:
            self._finish_previews(job)
        if job.unchanged:
            self.stdout.write(f"{job.unchanged} frames were there already")
        self.stdout.write(f"imported {job.imported} frames, {job.failed} failed")

    def _finish_previews(self, job: Job) -> None:
        """Make the previews of the imported dataset here, beside any worker that does too."""
        dataset = Dataset.objects.get(jobs=job)
        previews.plan(dataset.pk, 0, dataset.next_ordinal)
        waiting = Preview.objects.filter(project=job.project, state=Preview.State.PENDING)
        while keys := list(
            waiting.order_by("uri", "timestamp_ms").values_list("key", flat=True)[:256]
        ):
            previews.render(keys)
            if waiting.filter(key__in=keys).count() == len(keys):
                # All of them wait for another attempt, or are in a worker's hands.
                time.sleep(1)

    def _progress(self, job: Job) -> None:
        share = ""
        if job.total:
            share = f" {100 * min(1.0, job.options.get('read', 0) / job.total):.0f} %"
        self.stderr.write(f"\r{job.imported:,} frames{share} ", ending="")
        if job.state == Job.State.DONE:
            self.stderr.write("")

    def _project(self, name: str) -> Project:
        project = Project.objects.filter(name=name).first()
        if project is None:
            project = create_project(name=name, actor=None)
            Grant.objects.bulk_create(
                Grant(project=project, user=user, role=Grant.Role.ADMIN)
                for user in User.objects.filter(is_superuser=True)
            )
        return project
