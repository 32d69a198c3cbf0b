"""manage.py collect_garbage: remove what no version holds and no page shows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat

from frames.actions import garbage
from frames.models import Job, Project
from frames.web.text import plural

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Collect now, showing progress; a collection that was killed is finished by the next."""

    help = (
        "Remove frame revisions that no version holds, previews that no frame shows, and the "
        "uploads of ended imports; of all projects, or of those named."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take projects, the grace period, and whether only to count."""
        parser.add_argument("projects", nargs="*", metavar="PROJECT", help="its name or id")
        parser.add_argument("--dry-run", action="store_true", help="count, and remove nothing")
        parser.add_argument(
            "--grace-hours",
            type=float,
            default=settings.GARBAGE_GRACE_S / 3600,
            metavar="H",
            help="remove what has been garbage for so long; 0 removes what a page still open shows",
        )

    def handle(self, *args: Any, projects: list[str], **options: Any) -> None:
        """Collect one project after the other, and say what went."""
        grace_s = round(options["grace_hours"] * 3600)
        if grace_s < 0:
            raise CommandError("--grace-hours is not negative")
        for project in _chosen(projects):
            if options["dry_run"]:
                found, verb = garbage.estimate(project, grace_s=grace_s), "would be removed"
            else:
                progress = self._progress if sys.stderr.isatty() else None
                job = garbage.collect_now(project, grace_s=grace_s, progress=progress)
                if job.state != Job.State.DONE:
                    raise CommandError(job.message)
                found, verb = garbage.Collected(**job.result), "removed"
            removed = ", ".join(
                (
                    plural(found.frames, "frame revision"),
                    plural(found.previews, "preview"),
                    plural(found.uploads, "upload"),
                )
            )
            size = filesizeformat(found.bytes).replace("\N{NO-BREAK SPACE}", " ")
            self.stdout.write(f"{project.name}: {removed} {verb}, {size} of files")
            if found.waiting:
                waiting = plural(found.waiting, "frame revision")
                self.stdout.write(f"{project.name}: {waiting} within the grace period")
        if not projects and not options["dry_run"]:
            strays = plural(garbage.collect_strays(), "preview file")
            self.stdout.write(f"{strays} without a row removed")

    def _progress(self, job: Job) -> None:
        share = f" of {job.total:,}" if job.total else ""
        ending = "\n" if job.state == Job.State.DONE else ""
        self.stderr.write(
            f"\r{job.project.name}: {job.position:,}{share} revisions ", ending=ending
        )


def _chosen(names: list[str]) -> list[Project]:
    projects = {project.name: project for project in Project.objects.all()}
    if not names:
        return [*projects.values()]
    by_name = projects | {project.uid: project for project in projects.values()}
    if missing := [name for name in names if name not in by_name]:
        raise CommandError(f"no such project: {', '.join(missing)}")
    return [by_name[name] for name in names]
