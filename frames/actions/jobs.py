"""Jobs: long work that one worker claims, keeps alive, and another takes over when it dies.

A verb that takes long makes its row with `create` and enqueues `frames.run_job`; its runner, one
a kind, is named in frames/tasks.py and calls `run` with the work. The work moves
`job.position` as it goes, calls `keep_alive` (or `renew` inside its own transaction) every few
seconds, and goes on from `job.position` when it is started a second time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone

from frames.actions.fields import Refused
from frames.actions.frames import VersionNotWritable
from frames.actions.queue import enqueue
from frames.formats.base import FormatError
from frames.media.errors import MediaError
from frames.models import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.db.models import QuerySet

    from frames.models import Dataset, Project, Version

log = structlog.get_logger()

# The heartbeat is renewed every few seconds; a minute without means that the worker is gone.
STALE_AFTER: Final = timedelta(minutes=1)
REQUEUE_AFTER: Final = timedelta(minutes=2)
# What a job that was stopped or failed has left of its work.
_UNDONE: Final = {
    Job.Kind.IMPORT: "Nothing was imported.",
    Job.Kind.CHECK: "Nothing was found out.",
    Job.Kind.EXPORT: "Nothing was kept.",
    Job.Kind.EDIT: "Nothing was changed.",
    Job.Kind.DELETE: "What is left is removed in an hour.",
    Job.Kind.COLLECT: "What is left is collected the next time.",
}


class Stop(Exception):
    """Ends a run early with a state and a message for the person."""

    def __init__(self, state: Job.State, message: str) -> None:
        super().__init__(message)
        self.state = state
        self.message = message


class Lost(Exception):
    """Ends a run whose job another worker has taken, as after a minute without a heartbeat."""


def create(
    kind: Job.Kind,
    *,
    project: Project,
    dataset: Dataset | None = None,
    version: Version | None = None,
    actor: User | None,
    uri: str = "",
    options: dict[str, Any] | None = None,
) -> Job:
    """Make the row of a job that waits; the caller enqueues `frames.run_job` or runs it."""
    return Job.objects.create(
        kind=kind,
        project=project,
        dataset=dataset,
        version=version,
        uri=uri,
        options=options or {},
        created_by=actor,
        heartbeat_at=timezone.now(),
    )


def run(job_uid: str, work: Callable[[Job], None]) -> None:
    """Do the work of a job; nothing if it has ended or another worker has it.

    The work ends the job itself, with `finish`, in the transaction that makes its result true;
    one that returns without is ended as done. Its errors that a person can mend (Refused and
    those of input) end the job as failed with their message; any other is logged and raised too.
    """
    job = claim(job_uid)
    if job is None:
        return
    undone = _UNDONE[Job.Kind(job.kind)]
    try:
        work(job)
        if job.state == Job.State.RUNNING:
            finish(job, Job.State.DONE, "")
    except Lost:
        log.warning("job lost to another worker", job=job.uid, position=job.position)
    except Stop as stop:
        finish(job, stop.state, stop.message)
    except (FormatError, MediaError, Refused, VersionNotWritable) as error:
        finish(job, Job.State.FAILED, f"{str(error).rstrip('.')}. {undone}")
    except Exception:
        log.exception("job failed", job=job.uid, kind=job.kind, position=job.position)
        try:
            finish(
                job,
                Job.State.FAILED,
                f"Framedeck failed here; the operator's log has the reason. {undone}",
            )
        except DatabaseError:
            # A full disk takes no message either. The sweep sends the job again, which goes on.
            log.warning("job left as it is", job=job.uid, kind=job.kind)
        raise


def claim(job_uid: str) -> Job | None:
    """Take a queued job, or a running one whose worker is gone; None for any other."""
    now = timezone.now()
    free = Q(state=Job.State.QUEUED) | Q(
        state=Job.State.RUNNING, heartbeat_at__lt=now - STALE_AFTER
    )
    taken = Job.objects.filter(free, uid=job_uid).update(
        state=Job.State.RUNNING, heartbeat_at=now, started_at=now
    )
    if not taken:
        return None
    return Job.objects.select_related("project", "dataset", "version__dataset").get(uid=job_uid)


def renew(job: Job) -> None:
    """Renew the heartbeat and read whether to stop; raise Lost if the job is not ours any more.

    Inside of a transaction this also keeps the job from being taken until the transaction ends.
    """
    job.heartbeat_at = timezone.now()
    if not _claimed(job).update(heartbeat_at=job.heartbeat_at):
        raise Lost
    job.refresh_from_db(fields=["cancel_requested"])


def heed_cancellation(job: Job) -> None:
    """Raise Stop if somebody has asked the job to."""
    if job.cancel_requested:
        raise Stop(Job.State.CANCELLED, f"Cancelled. {_UNDONE[Job.Kind(job.kind)]}")


def keep_alive(job: Job) -> None:
    """Say that the job is in good hands, and heed its cancellation. Raises Lost, Stop."""
    renew(job)
    heed_cancellation(job)


def finish(job: Job, state: Job.State, message: str) -> None:
    """End a job that is still this run's, and no other."""
    job.state = state
    job.message = message
    job.finished_at = timezone.now()
    if state != Job.State.DONE:
        # What it staged belongs to nobody now.
        job.staged = job.replaced = job.seen = b""
        job.imported = 0
    # But for what it is of: that may have been deleted since the job was read.
    own = [f.attname for f in job._meta.concrete_fields if not (f.primary_key or f.is_relation)]
    _claimed(job).update(**{name: getattr(job, name) for name in own})


def cancel(job: Job) -> None:
    """Ask a job to stop; one that waits is cancelled at once. A deletion goes on."""
    jobs = Job.objects.filter(pk=job.pk).exclude(kind=Job.Kind.DELETE)
    jobs.unfinished().update(cancel_requested=True)
    jobs.filter(state=Job.State.QUEUED).update(
        state=Job.State.CANCELLED,
        finished_at=timezone.now(),
        message=f"Cancelled. {_UNDONE[Job.Kind(job.kind)]}",
        # Of a run before, whose worker died: garbage is what no job names.
        staged=b"",
        replaced=b"",
        seen=b"",
    )


def sweep() -> None:
    """Send again the jobs whose message or worker was lost. Queries: 1, and 1 a lost job."""
    now = timezone.now()
    lost = Job.objects.filter(
        Q(state=Job.State.RUNNING, heartbeat_at__lt=now - STALE_AFTER)
        | Q(state=Job.State.QUEUED, heartbeat_at__lt=now - REQUEUE_AFTER)
    )
    for job in lost[:100]:
        unchanged = Job.objects.filter(pk=job.pk, state=job.state, heartbeat_at=job.heartbeat_at)
        if unchanged.update(state=Job.State.QUEUED, heartbeat_at=now):
            log.warning("job sent again", job=job.uid, kind=job.kind, position=job.position)
            enqueue("frames.run_job", job_uid=job.uid)


def _claimed(job: Job) -> QuerySet[Job]:
    """Return the job's row while it is this run's: each claim has a time of its own."""
    return Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, started_at=job.started_at)
