"""The queue's face: each task takes ids and makes one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from celery import shared_task

from frames.actions import (
    checks,
    deletions,
    edits,
    exports,
    garbage,
    imports,
    jobs,
    previews,
    views,
)
from frames.models import Job

if TYPE_CHECKING:
    from collections.abc import Callable


# Who does the work of each kind of job.
RUNNERS: Final[dict[str, Callable[[str], None]]] = {
    Job.Kind.IMPORT: imports.run,
    Job.Kind.EDIT: edits.run,
    Job.Kind.CHECK: checks.run,
    Job.Kind.COLLECT: garbage.run,
    Job.Kind.EXPORT: exports.run,
    Job.Kind.DELETE: deletions.run,
}


@shared_task(name="frames.run_job")
def run_job(job_uid: str) -> None:
    """Run a job, from where it stopped if it was begun."""
    kind = Job.objects.filter(uid=job_uid).values_list("kind", flat=True).first()
    if kind is not None:
        RUNNERS[kind](job_uid)


@shared_task(name="frames.plan_previews")
def plan_previews(dataset_pk: int, first_ordinal: int, end_ordinal: int) -> None:
    """Make the preview rows that newly written frames want, and enqueue their rendering."""
    previews.plan(dataset_pk, first_ordinal, end_ordinal)


@shared_task(name="frames.plan_shown_previews")
def plan_shown_previews(source_pks: list[int], edge_px: int) -> None:
    """Make what a page shows and no import has planned yet, or whose plan was lost."""
    previews.plan_shown(source_pks, edge_px)


# A decoder that hangs in one call heeds no deadline of its own; its child process is ended.
@shared_task(name="frames.render_previews", time_limit=1_800)
def render_previews(keys: list[str]) -> None:
    """Render those of the given previews that still wait."""
    previews.render(keys)


@shared_task(name="frames.render_requested", time_limit=1_800)
def render_requested(keys: list[str]) -> None:
    """Render what somebody looks at now, past the queue of those an import wants."""
    previews.render(keys)


@shared_task(name="frames.hash_view", time_limit=3_600)
def hash_view(view_pk: int) -> None:
    """Compute the content hash that a data view waits for."""
    views.hash_view(view_pk)


@shared_task(name="frames.sweep")
def sweep() -> None:
    """Send again what a lost worker or a lost queue left waiting, and start what is due."""
    jobs.sweep()
    deletions.sweep()
    garbage.sweep()
    exports.sweep()
    previews.sweep()
    views.sweep()


@shared_task(name="frames.collect_strays")
def collect_strays() -> None:
    """Delete the preview files that have no row."""
    garbage.collect_strays()
