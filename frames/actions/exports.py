"""Exporting: a background job that writes frames to one file.

What is written is what was there when the export was asked for, however versions and views change
meanwhile; frames/actions/export_content.py tells what that can be. The file has its name only once
it is whole and on disk: one that is killed, cancelled or has no room leaves nothing, and one that
is started again begins anew.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import time
import uuid
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from django.conf import settings
from django.core.files import File
from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone
from django.utils.text import get_valid_filename

from frames.actions import audit, jobs
from frames.actions.export_content import of_job
from frames.actions.fields import Refused
from frames.actions.queue import enqueue
from frames.formats.writers import BY_NAME
from frames.index.store import chunks
from frames.models import Job, Version

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from datetime import datetime
    from typing import IO

    from django.contrib.auth.models import User

    from frames.actions.export_content import Content
    from frames.formats.writers import OutputFormat

log = structlog.get_logger()

ALIVE_EVERY_S: Final = 1.0
# Each takes a worker's process and room on the disk; a person needs few at a time.
AT_ONCE: Final = 3
SWEEP_MAX: Final = 100
_PART: Final = ".part"
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: frames, bytes, and what the format could not hold by what became of it."""

    frames: int
    bytes: int
    changes: Counter[str]


def output_format(name: str) -> OutputFormat:
    """Return a format by its name. Raises Refused."""
    if name not in BY_NAME:
        raise Refused(f"There is no format {name[:40]!a}. Choose one of {', '.join(BY_NAME)}.")
    return BY_NAME[name]


def format_title(job: Job) -> str:
    """Return what the format of an export is called, also one that is not written any more."""
    name = str(job.options.get("format", ""))
    return BY_NAME[name].title if name in BY_NAME else name


def start_export(*, content: Content, format_name: str, actor: User | None) -> Job:
    """Queue an export. Raises Refused."""
    output = output_format(format_name)
    if Job.objects.unfinished().filter(kind=Job.Kind.EXPORT, created_by=actor).count() >= AT_ONCE:
        raise Refused(f"{AT_ONCE} of your exports are not done yet. Wait for one, or cancel it.")
    version = content.source if isinstance(content.source, Version) else None
    with transaction.atomic():
        job = jobs.create(
            Job.Kind.EXPORT,
            project=content.project,
            dataset=version.dataset if version else None,
            version=version,
            actor=actor,
            options={"format": output.name, **content.options},
        )
        job.staged = content.snapshot()
        job.total = content.total
        job.save(update_fields=["staged", "total"])
        enqueue("frames.run_job", job_uid=job.uid)
    return job


def run(job_uid: str) -> None:
    """Write an export, from the beginning; do nothing if it has ended or another worker has it."""
    jobs.run(job_uid, _run)


def export_to_path(
    *,
    content: Content,
    format_name: str,
    path: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write to a file now, in place of what has its name.

    Until it is whole it has a name beside it that ends in `.part`; only a kill -9 leaves that.
    Raises Refused.
    """
    output = output_format(format_name)
    if path.is_dir():
        raise Refused(f"{path} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise Refused(f"{path.parent}: there is no such folder.")
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_PART}")

    def on_chunk(done: int) -> None:
        if progress is not None:
            progress(done, content.total)

    try:
        exported = _write(content, output, part, on_chunk)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    audit.record(
        "export",
        content.source,
        project=content.project,
        actor=None,
        format=output.name,
        frames=exported.frames,
    )
    return exported


def is_kept(job: Job) -> bool:
    """Whether the file of an export is there to be had."""
    return job.kind == Job.Kind.EXPORT and job.state == Job.State.DONE and "file" in job.result


def kept_until(job: Job) -> datetime:
    """Return when the file of an export that is done will be removed."""
    return (job.finished_at or timezone.now()) + timedelta(days=settings.EXPORT_KEEP_DAYS)


def sweep() -> None:
    """Remove the files that were kept long enough, and what killed exports have left.

    Queries: 1 to 2, and 1 for each file removed.
    """
    limit = timezone.now() - timedelta(days=settings.EXPORT_KEEP_DAYS)
    finished = Job.objects.filter(kind=Job.Kind.EXPORT, state=Job.State.DONE)
    for job in finished.filter(finished_at__lt=limit, result__has_key="file")[:SWEEP_MAX]:
        storages["exports"].delete(job.result["file"])
        del job.result["file"]
        job.save(update_fields=["result"])
    with contextlib.suppress(FileNotFoundError):
        folders = {path.name: path for path in settings.EXPORTS_DIR.iterdir() if path.is_dir()}
        for names in chunks(sorted(folders)):
            held = Job.objects.filter(uid__in=names, kind=Job.Kind.EXPORT)
            wanted = held.unfinished() | held.filter(state=Job.State.DONE, result__has_key="file")
            for name in set(names) - set(wanted.values_list("uid", flat=True)):
                shutil.rmtree(folders[name], ignore_errors=True)


def _run(job: Job) -> None:
    content = of_job(job)
    output = output_format(job.options["format"])
    kept_as = f"{job.uid}/{get_valid_filename(content.name)}{output.suffix}"
    folder: Path = settings.EXPORTS_DIR / job.uid
    _discard(folder)
    folder.mkdir(parents=True)
    part = folder / f"{uuid.uuid4().hex}{_PART}"
    last = 0.0

    def on_chunk(done: int) -> None:
        nonlocal last
        if time.monotonic() - last < ALIVE_EVERY_S:
            return
        job.position = done
        jobs.keep_alive(job)
        job.save(update_fields=["position"])
        last = time.monotonic()

    try:
        exported = _write(content, output, part, on_chunk)
        _keep(part, kept_as, partial(jobs.keep_alive, job))
        with transaction.atomic():
            jobs.keep_alive(job)
            job.position = exported.frames
            job.staged = b""
            job.result = {
                "file": kept_as,
                "bytes": exported.bytes,
                "changes": dict(exported.changes.most_common()),
            }
            audit.record(
                "export",
                content.source,
                project=job.project,
                actor=job.created_by,
                format=output.name,
                frames=exported.frames,
                job=job.uid,
            )
            jobs.finish(job, Job.State.DONE, "")
    except jobs.Lost:
        # The name belongs to the worker that has the job now.
        part.unlink(missing_ok=True)
        raise
    except BaseException:
        storages["exports"].delete(kept_as)
        _discard(folder)
        raise
    part.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()  # where the file has gone into a bucket


def _discard(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


class _WholeFile(File):  # type: ignore[type-arg]
    """A file that a storage of the same disk moves, and any other copies."""

    def temporary_file_path(self) -> str:
        """Return where it is."""
        return str(self.name)


def _keep(part: Path, kept_as: str, on_wait: Callable[[], None]) -> None:
    """Give a whole file its name; a bucket may take minutes for it."""
    storage = storages["exports"]
    # Of a run that was killed behind this line.
    storage.delete(kept_as)
    with part.open("rb") as file, ThreadPoolExecutor(max_workers=1) as pool:
        saving = pool.submit(storage.save, kept_as, _WholeFile(file, name=str(part)))
        while wait([saving], timeout=5).not_done:
            on_wait()
        saving.result()


def _write(
    content: Content, output: OutputFormat, path: Path, on_chunk: Callable[[int], None]
) -> Exported:
    """Write frames to a file and see that the disk has it. Raises Refused."""
    try:
        with path.open("wb", buffering=1024 * 1024) as file:
            changes, written = _write_frames(content, output, file, on_chunk)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
    except (OSError, sqlite3.OperationalError) as error:
        is_full = isinstance(error, OSError) and error.errno in _NO_ROOM
        if is_full or (isinstance(error, sqlite3.Error) and "full" in str(error)):
            log.warning("export found no room", path=str(path), error=str(error))
            raise Refused(
                "The disk is full. Export fewer frames, or ask the operator for room."
            ) from error
        raise
    if written != content.total:
        raise Refused("Some of the frames were removed meanwhile. Start the export again.")
    return Exported(written, size, changes)


def _write_frames(
    content: Content, output: OutputFormat, file: IO[bytes], on_chunk: Callable[[int], None]
) -> tuple[Counter[str], int]:
    shows_pictures = output.shows_pictures
    scratch = os.path.dirname(file.name)
    about = content.about(scratch, on_chunk, with_folder=shows_pictures)
    writer = output.writer(file, about)
    written = 0
    for frames in content.chunks(with_sizes=shows_pictures):
        for frame in frames:
            writer.write(frame)
        written += len(frames)
        on_chunk(written)
    writer.finish()
    return writer.changes, written
