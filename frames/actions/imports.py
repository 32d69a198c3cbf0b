"""Importing: a background job that stages frames in batches and gives them to a draft at its end.

The version has all of an input or nothing of it: a truncated manifest, a cancelled or a killed
import leave it as it was. What is staged is in the rows, so an import goes on where it stopped.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import transaction

from frames.actions import archives, audit, jobs
from frames.actions.ahead import ahead
from frames.actions.datasets import create_dataset
from frames.actions.fields import (
    Refused,
    clean_description,
    clean_metadata,
    clean_name,
    clean_tags,
)
from frames.actions.frames import Stager
from frames.actions.prepare import PreparedBatch
from frames.actions.queue import enqueue
from frames.actions.versions import draft_for_writing
from frames.formats.base import FormatError, Header
from frames.formats.registry import open_reader
from frames.index.bitmaps import BitMap, dump, load
from frames.media.errors import MediaError
from frames.media.policy import policy_for
from frames.models import Job, JobError, Project, Version
from frames.models.base import name_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.contrib.auth.models import User
    from django.core.files.uploadedfile import UploadedFile

    from frames.formats.base import Problem
    from frames.media import MediaPolicy

PLAN_CHUNK_FRAMES: Final = 5_000
# Frames of ten thousand polygons each fill a batch long before their number does.
BATCH_MAX_BYTES: Final = 32 * 1024 * 1024
_PROGRESS_FIELDS: Final = (
    *("position", "total", "imported", "unchanged", "failed"),
    *("staged", "replaced", "seen", "options"),
)


class ImportRefused(Refused):
    """The import cannot start; the message says why and what to do."""


def start_import(
    *,
    project: Project,
    dataset_name: str,
    user: User | None,
    uri: str | None = None,
    upload: UploadedFile[Any] | None = None,
    options: dict[str, Any] | None = None,
) -> Job:
    """Queue an import of an allowed address, or of an uploaded file, into a dataset's draft.

    The dataset is made if the project has none of that name. Raises ImportRefused.
    """
    try:
        clean_name(dataset_name, "dataset")
        if upload is not None:
            if upload.size is not None and upload.size > settings.UPLOAD_MAX_BYTES:
                raise ImportRefused(
                    f"The file is over the limit of {settings.UPLOAD_MAX_BYTES:,} bytes. "
                    "Ask the operator to allow its folder, and name that instead."
                )
        elif uri:
            policy_for(project).check(uri)
        else:
            raise ImportRefused("Choose a file, or name a folder or address.")
        if upload is not None:
            uri = archives.keep_upload(upload, _uploads(project))
        job = _create_job(project, dataset_name, user, uri or "", options or {})
    except MediaError as error:
        raise ImportRefused(error.detail) from error
    except ImportRefused:
        raise
    except Refused as error:
        raise ImportRefused(str(error)) from error
    enqueue("frames.run_job", job_uid=job.uid)
    return job


def import_path(
    path: str,
    *,
    dataset_name: str,
    project: Project,
    user: User | None = None,
    options: dict[str, Any] | None = None,
    strict: bool = False,
    progress: Callable[[Job], None] | None = None,
) -> Job:
    """Import a path or address now, with the operator's right to read it; return the ended job.

    The path's folder joins the project's allowed prefixes, so that workers can make previews.
    Raises Refused if it cannot start.
    """
    uri = _operator_uri(path)
    _allow(project, uri, user)
    wanted = {**(options or {}), **({"strict": True} if strict else {})}
    images = wanted.get("images")
    if images:
        wanted["images"] = _operator_uri(str(images), folder=True)
        _allow(project, str(wanted["images"]), user)
    job = _create_job(project, dataset_name, user, uri, wanted)
    run(job.uid, progress=progress)
    job.refresh_from_db()
    return job


def run(job_uid: str, *, progress: Callable[[Job], None] | None = None) -> None:
    """Run an import from where it stands; do nothing if it has ended or another worker has it."""
    with _rare_collections():
        jobs.run(job_uid, partial(_run, progress=progress))


def _create_job(
    project: Project, dataset_name: str, user: User | None, uri: str, options: dict[str, Any]
) -> Job:
    with transaction.atomic():
        name = clean_name(dataset_name, "dataset")
        dataset = project.datasets.live().filter(name=name).first()
        if dataset is None:
            dataset = create_dataset(project=project, name=name, actor=user)
            options = {**options, "new_dataset": True}
        version = draft_for_writing(dataset, actor=user)
        job = jobs.create(
            Job.Kind.IMPORT,
            project=project,
            dataset=dataset,
            version=version,
            actor=user,
            uri=uri,
            options=options,
        )
        audit.record("start import", version, project=project, actor=user, uri=uri, job=job.uid)
    return job


def _uploads(project: Project) -> Path:
    """Return the folder that a project's uploads and unpacked archives are kept in."""
    return Path(settings.UPLOADS_DIR) / project.uid


def _operator_uri(path: str, *, folder: bool = False) -> str:
    """Return an operator's path as a file URI; addresses are kept."""
    if "://" in path:
        return path
    resolved = Path(path).expanduser().resolve()
    if not resolved.exists():
        raise ImportRefused(f"{path}: there is no such file or folder.")
    uri = resolved.as_uri()
    return uri + "/" if folder or resolved.is_dir() else uri


def _allow(project: Project, uri: str, user: User | None) -> None:
    """Add the folder of an address to the prefixes the project may read."""
    prefix = uri if uri.endswith("/") else uri.rsplit("/", 1)[0] + "/"
    with transaction.atomic():
        project = Project.objects.select_for_update().get(pk=project.pk)
        try:
            policy_for(project).check(prefix)
        except MediaError:
            project.media_allow = [*project.media_allow, prefix]
            project.save(update_fields=["media_allow"])
            audit.record("allow media", project, project=project, actor=user, prefix=prefix)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A batch of the input, prepared, and how far the reading is with it."""

    batch: PreparedBatch
    problems: list[tuple[int, Problem]]
    end: int
    position: int
    total: int | None
    header: Header


def _chunks(
    uri: str, policy: MediaPolicy, options: dict[str, Any], start: int, uploads: Path
) -> Iterator[_Chunk]:
    """Yield the input from item `start` on, the last chunk with the complete header.

    Runs ahead of the writing, in another process, on the machine's second core. Raises FormatError.
    """
    try:
        if archives.is_archive(uri):
            uri = archives.unpack(uri, uploads)
        reader = open_reader(uri, policy, options)
        batch, problems, end = PreparedBatch(), list[tuple[int, "Problem"]](), start
        for item in reader:
            if item.index < start:
                continue
            end = item.index + 1
            if item.frame is not None:
                batch.add(item.index, item.frame)
            elif item.problem is not None:
                problems.append((item.index, item.problem))
            is_full = len(batch.frames) + len(problems) >= settings.IMPORT_BATCH_FRAMES
            if is_full or batch.size_bytes > BATCH_MAX_BYTES:
                yield _Chunk(batch, problems, end, reader.position, reader.total, reader.header)
                batch, problems = PreparedBatch(), []
        yield _Chunk(batch, problems, end, reader.position, reader.total, reader.header)
    except MediaError as error:
        raise FormatError(error.detail) from error


def _run(job: Job, progress: Callable[[Job], None] | None) -> None:
    if job.version is None:
        raise Refused("The version that this import was for has been deleted.")
    policy = policy_for(job.project)
    stager = Stager(
        job.version,
        staged=_bitmap(job.staged),
        replaced=_bitmap(job.replaced),
        seen=_bitmap(job.seen),
    )
    header = Header()
    uploads = _uploads(job.project)
    chunks = partial(_chunks, job.uri, policy, job.options, job.position, uploads)
    for chunk in ahead(chunks, on_wait=partial(jobs.keep_alive, job)):
        _stage(job, stager, chunk)
        header = chunk.header
        if progress is not None:
            progress(job)
    _commit(job, stager, header)
    if progress is not None:
        progress(job)


def _stage(job: Job, stager: Stager, chunk: _Chunk) -> None:
    """Write one batch and how far the job is, in one transaction."""
    try:
        with transaction.atomic():
            result = stager.stage(chunk.batch)
            jobs.renew(job)
            problems = sorted([*chunk.problems, *result.problems], key=itemgetter(0))
            room = max(0, JobError.MAX_KEPT - job.failed)
            JobError.objects.bulk_create(
                JobError(
                    job=job, index=index, path=problem.path[:500], reason=problem.reason[:1000]
                )
                for index, problem in problems[:room]
            )
            job.position = chunk.end
            job.total = chunk.total
            job.imported += result.changed
            job.unchanged += result.unchanged
            job.failed += len(problems)
            job.staged = dump(stager.staged)
            job.replaced = dump(stager.replaced)
            job.seen = dump(stager.seen)
            job.options["read"] = chunk.position
            # Not cancel_requested, which a person may be setting in this moment.
            job.save(update_fields=_PROGRESS_FIELDS)
    except Exception:
        stager.forget()
        raise
    jobs.heed_cancellation(job)
    if job.failed and job.options.get("strict"):
        raise jobs.Stop(
            Job.State.FAILED,
            f"{job.failed} frames are not valid and the import is strict. Nothing was imported.",
        )


def _commit(job: Job, stager: Stager, header: Header) -> None:
    """Give the version what is staged and end the job, in one transaction."""
    with transaction.atomic():
        version = stager.commit()
        jobs.renew(job)
        jobs.heed_cancellation(job)
        _apply_header(job, version, header)
        audit.record(
            "import",
            version,
            project=job.project,
            actor=job.created_by,
            uri=job.uri,
            job=job.uid,
            imported=job.imported,
            unchanged=job.unchanged,
            failed=job.failed,
        )
        _enqueue_previews(version.dataset_id, stager.staged)
        job.staged = job.replaced = job.seen = b""
        jobs.finish(job, Job.State.DONE, "")


def _apply_header(job: Job, version: Version, header: Header) -> None:
    """Take over what the input says of a dataset and version that this import has made.

    What cannot be kept is listed with the problems of frames.
    """
    about, named = header.dataset, header.version
    dataset = version.dataset
    with _listed(job, "version.metadata"):
        metadata = named.get("metadata")
        if isinstance(metadata, dict) and metadata:
            version.metadata = clean_metadata({**version.metadata, **metadata})
            version.save(update_fields=["metadata"])
    if job.options.get("new_dataset"):
        with _listed(job, "dataset.description"):
            text = clean_description(str(about.get("description") or ""))
            dataset.description = dataset.description or text
        with _listed(job, "dataset.tags"):
            tags = about.get("tags")
            if isinstance(tags, list) and not dataset.tags:
                dataset.tags = clean_tags([str(tag) for tag in tags])
        with _listed(job, "version.description"):
            text = clean_description(str(named.get("description") or ""))
            version.description = version.description or text
        with _listed(job, "version.name"):
            if named.get("name"):
                name = clean_name(str(named["name"]), "version")
                others = dataset.versions.exclude(pk=version.pk)
                if not others.filter(name_key=name_key(name)).exists():
                    version.name = name
        version.save(update_fields=["name", "description"])
    dataset.updated_by = job.created_by
    dataset.save(update_fields=["description", "tags", "updated_by"])


@contextmanager
def _listed(job: Job, path: str) -> Iterator[None]:
    """List what is refused of the input's header as a problem, and go on."""
    try:
        yield
    except Refused as error:
        JobError.objects.create(job=job, index=0, path=path, reason=str(error)[:1000])
        job.failed += 1


def _enqueue_previews(dataset_pk: int, staged: BitMap) -> None:
    """Ask for the previews of the staged revisions, which lie in a few runs."""
    if not staged:
        return
    first, end = staged.min(), staged.max() + 1
    for start in range(first, end, PLAN_CHUNK_FRAMES):
        stop = min(start + PLAN_CHUNK_FRAMES, end)
        if staged.range_cardinality(start, stop):
            enqueue(
                "frames.plan_previews",
                dataset_pk=dataset_pk,
                first_ordinal=start,
                end_ordinal=stop,
            )


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let the garbage collector run 140 times less often.

    A batch is millions of objects without a cycle among them; looking for one took 15 % of the
    time of an import.
    """
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _bitmap(data: bytes | memoryview) -> BitMap:
    return load(data) if len(data) else BitMap()
