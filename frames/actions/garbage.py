"""Collecting garbage: what no version holds and no page shows.

Frame revisions go first, in batches that hold a dataset's lock for a moment; then previews that
no source shows any more, with their files; then the uploads of ended imports. What goes has been
garbage for a grace period, so that a page opened before still works. Nothing is noted of what is
done: started again after a kill, a collection finds what is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from django.conf import settings
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from pyroaring import BitMap64

from frames.actions import audit, jobs
from frames.actions.frames import lock_dataset
from frames.actions.queue import enqueue
from frames.index import membership
from frames.index.bitmaps import SEGMENT_BITS, BitMap, dump, load
from frames.index.reader import DatasetIndex
from frames.index.removal import Removal
from frames.models import Dataset, Job, Preview, Project, Source, Unheld, Version
from frames.models.frame import frame_pk
from frames.previews.spec import PREVIEW_EDGE_PX, VIEWER_EDGE_PX, spec_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from django.contrib.auth.models import User

EVERY: Final = timedelta(days=1)
# About how long a batch holds the dataset's lock. A batch of few revisions is hardly shorter: most
# of its time goes into the postings of common terms, each written once.
BATCH_S: Final = 0.1
BATCH_MIN: Final = 250
BATCH_MAX: Final = 2_000
_SOURCES_PER_QUERY: Final = 2_048
_PREVIEWS_PER_QUERY: Final = 500


@dataclass(slots=True)
class Collected:
    """What was removed, or would be; `waiting` revisions are not held, but not for long enough.

    `bytes` are those of the files of previews and uploads.
    """

    frames: int = 0
    previews: int = 0
    uploads: int = 0
    bytes: int = 0
    waiting: int = 0


def start(project: Project, *, actor: User | None) -> Job | None:
    """Queue a collection of a project's garbage; None while one is under way."""
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        if Job.objects.unfinished().filter(project=project, kind=Job.Kind.COLLECT).exists():
            return None
        job = _create(project, settings.GARBAGE_GRACE_S, actor)
        enqueue("frames.run_job", job_uid=job.uid)
    return job


def sweep() -> None:
    """Start the collection of each project that has had none for a day.

    Queries: 1, and 5 a project that is due.
    """
    limit = timezone.now() - EVERY
    recent = Job.objects.filter(kind=Job.Kind.COLLECT, project=OuterRef("pk"), created_at__gt=limit)
    due = list(Project.objects.filter(~Exists(recent), created_at__lt=limit)[:100])
    for project in due:
        start(project, actor=None)
    if due:
        enqueue("frames.collect_strays")


def collect_now(
    project: Project, *, grace_s: int, progress: Callable[[Job], None] | None = None
) -> Job:
    """Collect a project's garbage in this process; return the ended job."""
    job = _create(project, grace_s, None)
    run(job.uid, progress=progress)
    job.refresh_from_db()
    return job


def run(job_uid: str, *, progress: Callable[[Job], None] | None = None) -> None:
    """Run a collection; do nothing if it has ended or another worker has it."""
    jobs.run(job_uid, partial(_run, progress=progress))


def estimate(project: Project, *, grace_s: int) -> Collected:
    """Return what a collection would remove now, and remove nothing."""
    now = timezone.now()
    found = Collected()
    gone: dict[int, BitMap] = {}
    for dataset in _datasets(project):
        due, rest = _due(dataset, timedelta(seconds=grace_s), now)
        gone[dataset.pk] = due
        found.frames += len(due)
        found.waiting += len(rest)
    shown = _shown(project, without=gone)
    cutoff = now - timedelta(seconds=grace_s)
    for batch in _unshown_previews(project, shown, cutoff):
        found.previews += len(batch)
        found.bytes += sum(preview.bytes or 0 for preview in batch)
    for path in _unused_uploads(project, shown, cutoff):
        found.uploads += 1
        found.bytes += _size(path)
    return found


def collect_strays() -> int:
    """Delete the preview files that have no row, of all projects; return how many there were.

    A project that was deleted leaves them, and so does a worker that was killed while it wrote.
    """
    storage = storages["previews"]
    cutoff = timezone.now() - timedelta(seconds=settings.GARBAGE_GRACE_S)
    count = 0
    for number in range(256):
        folder = f"{number:02x}"
        try:
            names = [f"{folder}/{name}" for name in storage.listdir(folder)[1]]
        except FileNotFoundError:
            continue
        for start_at in range(0, len(names), _PREVIEWS_PER_QUERY):
            part = {name: name[3:43] for name in names[start_at : start_at + _PREVIEWS_PER_QUERY]}
            known = set(Preview.objects.filter(key__in=part.values()).values_list("key", flat=True))
            for name, key in part.items():
                is_whole = name == f"{folder}/{key}.jpg"
                if (key in known and is_whole) or storage.get_modified_time(name) > cutoff:
                    continue
                storage.delete(name)
                count += 1
    return count


def _create(project: Project, grace_s: int, actor: User | None) -> Job:
    return jobs.create(Job.Kind.COLLECT, project=project, actor=actor, options={"grace_s": grace_s})


def _run(job: Job, *, progress: Callable[[Job], None] | None) -> None:
    report = progress or (lambda job: None)
    grace, now = timedelta(seconds=job.options["grace_s"]), timezone.now()
    found = Collected(**job.result)
    found.waiting = 0
    plans = [(dataset, *_due(dataset, grace, now)) for dataset in _datasets(job.project)]
    job.total = job.position + sum(len(due) for _, due, _ in plans)
    for dataset, due, rest in plans:
        found.waiting += len(rest)
        for _ in _remove(job, dataset, due):
            report(job)
        _note_unheld(dataset, due, rest, grace, now)
    found.frames = job.position
    shown = _shown(job.project, without={}, keep_alive=partial(jobs.keep_alive, job))
    for batch in _unshown_previews(job.project, shown, now - grace):
        _delete_previews(batch)
        found.previews += len(batch)
        found.bytes += sum(preview.bytes or 0 for preview in batch)
        _keep(job, found)
        report(job)
    for path in _unused_uploads(job.project, shown, now - grace):
        found.bytes += _size(path)
        found.uploads += 1
        _delete_path(path)
        _keep(job, found)
        report(job)
    with transaction.atomic():
        jobs.renew(job)
        if found.frames or found.previews or found.uploads:
            audit.record(
                "collect garbage",
                job.project,
                project=job.project,
                actor=job.created_by,
                **{name: count for name, count in asdict(found).items() if name != "waiting"},
            )
        # What they did stands in the log.
        earlier = Job.objects.filter(project=job.project, kind=Job.Kind.COLLECT)
        earlier.filter(finished_at__lte=now - grace).delete()
        job.result = asdict(found)
        jobs.finish(job, Job.State.DONE, "")
    report(job)


def _datasets(project: Project) -> list[Dataset]:
    return list(Dataset.objects.filter(project=project, deleted_at=None).order_by("pk"))


# --- frames ---------------------------------------------------------------------------------


def _due(dataset: Dataset, grace: timedelta, now: datetime) -> tuple[BitMap, BitMap]:
    """Return the revisions that may go now, and those that nothing holds but not for long enough.

    In this order: what is written, staged and committed meanwhile is in none of them.
    """
    revisions = DatasetIndex(dataset).revisions()
    unheld = revisions - _named_by_jobs(dataset.pk) - membership.held(dataset.pk)
    if not grace:
        return unheld, BitMap()
    seen = Unheld.objects.filter(dataset=dataset, seen_at__lte=now - grace).first()
    due = unheld & load(seen.bitmap) if seen is not None else BitMap()
    return due, unheld - due


def _note_unheld(
    dataset: Dataset, due: BitMap, rest: BitMap, grace: timedelta, now: datetime
) -> None:
    """Begin the grace period of the rest, once that of those before it has ended."""
    seen = Unheld.objects.filter(dataset=dataset).first()
    if not rest:
        Unheld.objects.filter(dataset=dataset).delete()
    elif seen is None or seen.seen_at <= now - grace:
        Unheld.objects.update_or_create(
            dataset=dataset, defaults={"seen_at": now, "bitmap": dump(rest)}
        )


def _named_by_jobs(dataset_pk: int) -> BitMap:
    """Return the revisions that jobs have staged, or keep to undo what they did to a draft."""
    named = Job.objects.unfinished() | Job.objects.filter(version__status=Version.Status.DRAFT)
    rows = named.filter(dataset=dataset_pk).exclude(staged=b"", replaced=b"")
    found = BitMap()
    # Each can be of every frame, and a draft can have many edits.
    for bitmaps in rows.values_list("staged", "replaced").iterator(chunk_size=8):
        for data in bitmaps:
            if len(data):
                found |= load(data)
    return found


def _remove(job: Job, dataset: Dataset, due: BitMap) -> Iterator[None]:
    """Remove revisions, yielding after each batch."""
    left, size = due.copy(), BATCH_MIN
    while left:
        segment = left.min() >> SEGMENT_BITS
        part = BitMap(o for o in left[:size] if o >> SEGMENT_BITS == segment)
        removal = Removal(dataset, list(part))
        held = _needed(removal)
        begun = time.monotonic()
        with transaction.atomic():
            if removal.renew(lock_dataset(dataset.pk)):
                # Whoever has written since may have restored some of them.
                held = _needed(removal)
            count = 0 if held else removal.apply()
            job.position += count
            jobs.renew(job)
            job.save(update_fields=["position", "total"])
        spent = time.monotonic() - begun
        left -= held or part
        size = max(BATCH_MIN, min(BATCH_MAX, int(size * min(2.0, BATCH_S / spent))))
        jobs.heed_cancellation(job)
        yield
        # SQLite's writers look for the lock now and then and take no turns.
        time.sleep(spent)


def _needed(removal: Removal) -> BitMap:
    """Return those of some revisions that a version holds or a job names."""
    return removal.held() | (removal.ordinals & _named_by_jobs(removal.dataset_pk))


# --- previews and uploads -------------------------------------------------------------------


@dataclass(slots=True)
class _Shown:
    """What the sources of a project show: hashes of preview specs, uploads by folder and name."""

    previews: BitMap64
    uploads: set[tuple[str, str]]


def _shown(
    project: Project,
    *,
    without: Mapping[int, BitMap],
    keep_alive: Callable[[], None] = lambda: None,
) -> _Shown:
    """Return what the project's sources show, but for those of some revisions by dataset.

    Nothing where that is nobody's question. Memory: some 10 bytes a source. Queries: 1 for each
    2,048 revisions there ever were.
    """
    shown = _Shown(BitMap64(), set())
    folder = settings.UPLOADS_DIR / project.uid
    prefix = f"{folder.as_uri()}/" if folder.is_dir() else ""
    if not prefix and not Preview.objects.filter(project=project).exists():
        return shown
    for dataset in Dataset.objects.filter(project=project):
        gone = without.get(dataset.pk, BitMap())
        for first in range(0, dataset.next_ordinal, _SOURCES_PER_QUERY):
            keep_alive()
            sources = Source.objects.filter(
                frame_id__gte=frame_pk(dataset.pk, first),
                frame_id__lt=frame_pk(dataset.pk, first + _SOURCES_PER_QUERY),
            ).only("frame_id", "uri", "content_type", "timestamp", "preview", "masks")
            for source in sources:
                if source.frame_id - frame_pk(dataset.pk, 0) in gone:
                    continue
                specs = [spec_for(source, VIEWER_EDGE_PX)]
                if source.preview:
                    # Shown in place of the source where pictures are small.
                    specs.append(spec_for(source, PREVIEW_EDGE_PX))
                for spec in specs:
                    shown.previews.add(_spec_hash(spec.uri, spec.timestamp_ms))
                if prefix:
                    shown.uploads.update(_uploads_in(prefix, source))
    return shown


def _spec_hash(uri: str, timestamp_ms: float) -> int:
    """Return 64 bits that stand for what a preview shows, at whatever size."""
    text = f"{timestamp_ms!r}\n{uri}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _uploads_in(prefix: str, source: Source) -> Iterator[tuple[str, str]]:
    """Yield folder and name of each upload that a source, its masks or its preview lie in."""
    for text in texts_in([source.uri, source.masks, source.preview]):
        if text.startswith(prefix):
            folder, _, rest = text.removeprefix(prefix).partition("/")
            yield folder, unquote(rest.partition("/")[0])


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value, but for the names in its objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from texts_in(child)


def _unshown_previews(project: Project, shown: _Shown, cutoff: datetime) -> Iterator[list[Preview]]:
    """Yield, a page at a time, the previews of a project that no source shows."""
    after = ""
    while True:
        page = list(
            Preview.objects.filter(project=project, key__gt=after, updated_at__lte=cutoff)
            .order_by("key")
            .only("key", "uri", "timestamp_ms", "bytes")[:_PREVIEWS_PER_QUERY]
        )
        if not page:
            return
        after = page[-1].key
        unshown = [p for p in page if _spec_hash(p.uri, p.timestamp_ms) not in shown.previews]
        if unshown:
            yield unshown


def _delete_previews(previews: list[Preview]) -> None:
    # The files first: a file without a row would be found by nobody.
    for preview in previews:
        storages["previews"].delete(preview.name)
    Preview.objects.filter(key__in=[preview.key for preview in previews]).delete()


def _unused_uploads(project: Project, shown: _Shown, cutoff: datetime) -> Iterator[Path]:
    """Yield the files and folders among the uploads that no source lies in.

    None while an import is under way, which may be of any of them.
    """
    root = settings.UPLOADS_DIR / project.uid
    importing = Job.objects.unfinished().filter(project=project, kind=Job.Kind.IMPORT)
    if importing.exists() or not root.is_dir():
        return
    for folder in [path for path in root.iterdir() if path.is_dir()]:
        if folder.stat().st_mtime > cutoff.timestamp():
            continue
        entries = list(folder.iterdir())
        yield from (path for path in entries if (folder.name, path.name) not in shown.uploads)
        if not entries:
            yield folder


def _delete_path(path: Path) -> None:
    """Delete a file or a folder, and the folder it is in if that was all."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


def _keep(job: Job, found: Collected) -> None:
    """Note how far the collection is, and heed whoever wants it to stop."""
    jobs.keep_alive(job)
    job.result = asdict(found)
    job.save(update_fields=["result"])
