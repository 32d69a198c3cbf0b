"""Deleting a dataset: gone for everybody at once, its rows removed by a job in batches.

Each batch is a transaction of its own, and each asks what is still there: a job that was killed
goes on where it stopped, and one that runs twice does no harm. Where that was asked for, objects in
buckets go first, while there are rows that name them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models import Count, Q, Sum
from django.utils import timezone

from frames.actions import audit, garbage, jobs, objects
from frames.actions.fields import Refused
from frames.actions.frames import lock_dataset
from frames.actions.queue import enqueue
from frames.index import membership, store
from frames.models import (
    Dataset,
    Frame,
    Identities,
    Job,
    Key,
    RegionOffsets,
    Source,
    Term,
    Version,
)
from frames.models.frame import frame_pk

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# A batch holds SQLite's one write lock for about 0.1 s.
FRAMES_PER_BATCH: Final = 2_000
TERMS_PER_BATCH: Final = 500
VERSIONS_PER_BATCH: Final = 100
# A deletion that failed is tried again: what is marked as deleted does not stay.
RETRY_AFTER: Final = timedelta(hours=1)


def delete_dataset(
    dataset: Dataset,
    *,
    actor: User | None,
    confirmation: str,
    delete_all_versions: bool = False,
    force: bool = False,
    delete_sources: bool = False,
) -> Job:
    """Delete a dataset and all of its versions; return the job that removes their rows.

    `confirmation` is the dataset's name. Drafts that hold frames are deleted with
    `delete_all_versions` only, published versions with `force` only. With `delete_sources`, which
    counts beside `delete_all_versions` alone, the objects that its sources point at are deleted
    where the operator allows it and no other dataset names them; nothing else that is stored
    outside is touched. Raises Refused.
    """
    delete_sources = delete_sources and delete_all_versions
    with transaction.atomic():
        dataset = lock_dataset(dataset.pk)
        if confirmation.strip() != dataset.name:
            raise Refused(f"Type the dataset's name, {dataset.name}, to delete it.")
        if Job.objects.unfinished().filter(dataset=dataset).exists():
            raise Refused(f"A job works on {dataset.name}. Wait for it, or cancel it.")
        found = contents(dataset)
        if found["published"] and not force:
            raise Refused(f"{dataset.name} has published versions. Say that they are deleted too.")
        if found["frames"] and not delete_all_versions:
            raise Refused(f"{dataset.name} has frames. Say that all its versions are deleted.")
        dataset.deleted_at = timezone.now()
        dataset.save(update_fields=["deleted_at"])
        details = found | ({"delete_sources": True} if delete_sources else {})
        audit.record("delete", dataset, project=dataset.project, actor=actor, **details)
        return _start(dataset, actor, delete_sources=delete_sources)


def contents(dataset: Dataset) -> dict[str, int]:
    """Return how many drafts and published versions a dataset has, and their frames; one query."""
    is_draft = Q(status=Version.Status.DRAFT)
    found = dataset.versions.aggregate(
        drafts=Count("pk", filter=is_draft),
        published=Count("pk", filter=~is_draft),
        frames=Sum("frame_count", default=0),
    )
    return {name: int(number) for name, number in found.items()}


def run(job_uid: str) -> None:
    """Remove what is left of a deleted dataset."""
    jobs.run(job_uid, _remove)


def sweep() -> None:
    """Start again the deletions that failed, or whose job is gone. Queries: 1, and 3 a dataset."""
    failed = Dataset.objects.filter(deleted_at__lt=timezone.now() - RETRY_AFTER)
    for dataset in failed.select_related("project")[:10]:
        recent = Q(state__in=[Job.State.QUEUED, Job.State.RUNNING]) | Q(
            finished_at__gt=timezone.now() - RETRY_AFTER
        )
        mine = Job.objects.filter(kind=Job.Kind.DELETE, options__dataset=dataset.pk)
        if not mine.filter(recent).exists():
            last = mine.order_by("-pk").first()
            delete_sources = last is not None and last.options.get("delete_sources", False)
            _start(dataset, None, delete_sources=delete_sources)


def _start(dataset: Dataset, actor: User | None, *, delete_sources: bool) -> Job:
    # Without the dataset itself, which the job outlives.
    options = {"dataset": dataset.pk, "name": dataset.name, "delete_sources": delete_sources}
    job = jobs.create(Job.Kind.DELETE, project=dataset.project, actor=actor, options=options)
    enqueue("frames.run_job", job_uid=job.uid)
    return job


def _remove(job: Job) -> None:
    dataset = Dataset.objects.exclude(deleted_at=None).filter(pk=job.options["dataset"]).first()
    if dataset is None:
        return
    job.total = _rows_start(job, dataset) + dataset.next_ordinal
    if job.options.get("delete_sources"):
        objects.delete_objects(job, dataset)
    for remove_batch in (_remove_frames, _remove_terms, _remove_versions):
        is_more = True
        while is_more:
            with transaction.atomic():
                is_more = remove_batch(dataset, job)
                # Whoever asks to stop is too late: nobody can see the dataset any more.
                jobs.renew(job)
                job.save(update_fields=["total", "position"])
    with transaction.atomic():
        first, end = store.row_id(dataset.pk, 0), store.row_id(dataset.pk + 1, 0)
        store.delete_range(RegionOffsets, first, end)
        store.delete_range(Identities, first, end)
        # Its previews go too, but those that other datasets of the project show.
        garbage.start(job.project, actor=job.created_by)
        if counts := job.result.get("objects"):
            audit.record(
                "delete objects", dataset, project=job.project, actor=job.created_by, **counts
            )
        dataset.delete()
        jobs.finish(job, Job.State.DONE, f"{job.options['name']} is removed.")


def _rows_start(job: Job, dataset: Dataset) -> int:
    """Return the job's position from which on it removes rows: before, it deletes objects."""
    return dataset.next_ordinal if job.options.get("delete_sources") else 0


def _remove_frames(dataset: Dataset, job: Job) -> bool:
    """Delete the next revisions with their sources; return whether there are more.

    A dataset's revisions lie together by primary key, so a batch is a range.
    """
    start = _rows_start(job, dataset)
    first = job.position - start
    end = min(first + FRAMES_PER_BATCH, dataset.next_ordinal)
    first_pk, end_pk = frame_pk(dataset.pk, first), frame_pk(dataset.pk, end)
    Source.objects.filter(frame_id__gte=first_pk, frame_id__lt=end_pk).delete()
    store.delete_range(Frame, first_pk, end_pk)
    job.position = start + end
    return end < dataset.next_ordinal


def _remove_terms(dataset: Dataset, job: Job) -> bool:
    """Delete some terms of a key with their postings, or a key; return whether there was one."""
    key = Key.objects.filter(dataset=dataset).first()
    if key is None:
        return False
    pks = list(Term.objects.filter(key=key).values_list("pk", flat=True)[:TERMS_PER_BATCH])
    if pks:
        store.delete_postings(pks)
        store.delete_ids(Term, pks)
    else:
        key.delete()
    return True


def _remove_versions(dataset: Dataset, job: Job) -> bool:
    """Delete some versions and what they held; return whether there was one."""
    pks = list(dataset.versions.order_by("pk").values_list("pk", flat=True)[:VERSIONS_PER_BATCH])
    for pk in pks:
        membership.delete(pk)
    Version.objects.filter(pk__in=pks).delete()
    return bool(pks)
