"""Exporting: a background job that writes the frames of a filter to one file.

What is written is the set of frames that matched when the export was asked for, however the
version changes meanwhile. The file has its name only once it is whole and on disk: one that is
killed, cancelled or has no room leaves nothing, and one that is started again begins anew.
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
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog
from django.conf import settings
from django.core.files import File
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import TextField
from django.db.models.functions import Cast, Length
from django.utils import timezone
from django.utils.text import get_valid_filename

from frames.actions import audit, jobs
from frames.actions.fields import Refused
from frames.actions.queue import enqueue
from frames.formats.base import About, FrameData, Header, SourceData
from frames.formats.writers import BY_NAME
from frames.index.bitmaps import dump, load
from frames.index.reader import DatasetIndex
from frames.index.store import chunks
from frames.models import Frame, Job, Preview, Source
from frames.models.frame import frame_pk
from frames.previews.spec import PREVIEW_EDGE_PX, VIEWER_EDGE_PX, spec_for
from frames.search import order, pages
from frames.search.query import GROUP_NONE, FrameQuery

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from typing import IO

    from django.contrib.auth.models import User

    from frames.formats.writers import OutputFormat
    from frames.index.bitmaps import BitMap
    from frames.models import Version

log = structlog.get_logger()

CHUNK_FRAMES: Final = 1_000
# Of frames of ten thousand polygons each a few are read at once.
READ_MAX_CHARS: Final = 16 * 1024 * 1024
LABELS_MAX: Final = 20_000
READ_CHUNK: Final = 10_000
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


def start_export(
    *, version: Version, query: FrameQuery, format_name: str, actor: User | None
) -> Job:
    """Queue an export of the frames that match now. Raises Refused, QueryError."""
    # The filter first: a page that says what else is wrong shows what it matches.
    snapshot = _snapshot(version, query)
    output = output_format(format_name)
    if Job.objects.unfinished().filter(kind=Job.Kind.EXPORT, created_by=actor).count() >= AT_ONCE:
        raise Refused(f"{AT_ONCE} of your exports are not done yet. Wait for one, or cancel it.")
    options = {"format": output.name, "q": query.q, "label": query.label}
    with transaction.atomic():
        job = jobs.create(
            Job.Kind.EXPORT,
            project=version.dataset.project,
            dataset=version.dataset,
            version=version,
            actor=actor,
            options={name: value for name, value in options.items() if value},
        )
        job.staged = dump(snapshot)
        job.total = len(snapshot)
        job.save(update_fields=["staged", "total"])
        enqueue("frames.run_job", job_uid=job.uid)
    return job


def run(job_uid: str) -> None:
    """Write an export, from the beginning; do nothing if it has ended or another worker has it."""
    jobs.run(job_uid, _run)


def export_to_path(
    *,
    version: Version,
    query: FrameQuery,
    format_name: str,
    path: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write the frames that match to a file now, in place of what has its name.

    Until it is whole it has a name beside it that ends in `.part`; only a kill -9 leaves that.
    Raises Refused, QueryError.
    """
    output = output_format(format_name)
    snapshot = _snapshot(version, query)
    if path.is_dir():
        raise Refused(f"{path} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise Refused(f"{path.parent}: there is no such folder.")
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_PART}")

    def on_chunk(done: int) -> None:
        if progress is not None:
            progress(done, len(snapshot))

    try:
        exported = _write(version, snapshot, output, part, on_chunk)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    audit.record(
        "export",
        version,
        project=version.dataset.project,
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


def _snapshot(version: Version, query: FrameQuery) -> BitMap:
    found = pages.matched_frames(version, query)
    if not found:
        raise Refused("No frame matches, so there is nothing to export. Change the filter.")
    return found


def _run(job: Job) -> None:
    if job.version is None:
        raise Refused("The version that this export was of has been deleted.")
    version = job.version
    output = output_format(job.options["format"])
    snapshot = load(bytes(job.staged))
    name = f"{_short(version.dataset.name)}-{_short(version.name)}"
    kept_as = f"{job.uid}/{get_valid_filename(name)}{output.suffix}"
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
        exported = _write(version, snapshot, output, part, on_chunk)
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
                version,
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


def _short(name: str) -> str:
    """Return a name of which two and a suffix are no more than a file's may have."""
    return name.encode()[:100].decode(errors="ignore")


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
    version: Version,
    snapshot: BitMap,
    output: OutputFormat,
    path: Path,
    on_chunk: Callable[[int], None],
) -> Exported:
    """Write frames to a file and see that the disk has it. Raises Refused.

    Memory: frames of READ_MAX_CHARS. Queries: 4 to 8 a chunk, and a dozen.
    """
    try:
        with path.open("wb", buffering=1024 * 1024) as file:
            changes, written = _write_frames(version, snapshot, output, file, on_chunk)
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
    if written != len(snapshot):
        raise Refused("Some of the frames were removed meanwhile. Start the export again.")
    return Exported(written, size, changes)


def _write_frames(
    version: Version,
    snapshot: BitMap,
    output: OutputFormat,
    file: IO[bytes],
    on_chunk: Callable[[int], None],
) -> tuple[Counter[str], int]:
    index = DatasetIndex(version.dataset)
    about = About(
        _header(version),
        _labels(index, version),
        _folder(version, snapshot, on_chunk) if output.shows_pictures else "",
        os.path.dirname(file.name),
    )
    writer = output.writer(file, about)
    written = 0
    for frames in _chunks(version, index, snapshot, with_sizes=output.shows_pictures):
        for frame in frames:
            writer.write(frame)
        written += len(frames)
        on_chunk(written)
    writer.finish()
    return writer.changes, written


def _chunks(
    version: Version, index: DatasetIndex, snapshot: BitMap, *, with_sizes: bool
) -> Iterator[list[FrameData]]:
    """Yield the frames in order of context, timestamp and id."""
    query = FrameQuery(group=GROUP_NONE)
    while True:
        ordinals, after = order.page_of(index, snapshot, query, CHUNK_FRAMES)
        for part in _parts(version.dataset_id, ordinals):
            frames = _read(version.dataset_id, part)
            if with_sizes:
                _add_sizes(version.dataset.project_id, [s for f in frames for s in f.sources])
            yield frames
        if after is None:
            return
        query = query.with_(after=after)


def _parts(dataset_pk: int, ordinals: list[int]) -> Iterator[list[int]]:
    """Yield runs of frames whose regions and metadata are read at once. Queries: 1."""
    pks = [frame_pk(dataset_pk, ordinal) for ordinal in ordinals]
    length = Length(Cast("rois", TextField())) + Length(Cast("meta", TextField()))
    lengths = dict(Frame.objects.filter(pk__in=pks).values_list("pk", length))
    part: list[int] = []
    total = 0
    for ordinal, pk in zip(ordinals, pks, strict=True):
        total += lengths.get(pk, 0)
        if part and total > READ_MAX_CHARS:
            yield part
            part, total = [], lengths.get(pk, 0)
        part.append(ordinal)
    yield part


def _read(dataset_pk: int, ordinals: list[int]) -> list[FrameData]:
    """Return those frames that are there, in the order of the ordinals. Queries: 2.

    Texts of JSON and no model instances: that is twice as fast.
    """
    pks = [frame_pk(dataset_pk, ordinal) for ordinal in ordinals]
    found: dict[int, FrameData] = {}
    frames = Frame.objects.filter(pk__in=pks).values_list(
        *("pk", "frame_id", "context_id", "timestamp"),
        *(Cast(name, TextField()) for name in ("rois", "meta", "extra")),
    )
    for pk, frame_id, context_id, timestamp, *texts in frames:
        found[pk] = FrameData(frame_id, context_id, timestamp, [], *map(orjson.loads, texts))
    sources = Source.objects.filter(frame__in=pks).order_by("frame_id", "position")
    for (
        pk,
        name,
        uri,
        kind,
        width,
        height,
        time_ms,
        masks,
        preview,
        meta,
        extra,
    ) in sources.values_list(
        *("frame_id", "source_id", "uri", "content_type", "width", "height", "timestamp"),
        *(Cast(name, TextField()) for name in ("masks", "preview", "meta", "extra")),
    ):
        source = SourceData(name, uri, kind, width, height, time_ms)
        source.masks, source.preview, source.meta = map(_value, (masks, preview, meta))
        source.extra = orjson.loads(extra)
        found[pk].sources.append(source)
    return [found[pk] for pk in pks if pk in found]


def _value(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _add_sizes(project_pk: int, sources: list[SourceData]) -> None:
    """Take the size of a source that came without from its preview, if that is made. Queries: 1."""
    wanted: dict[str, list[SourceData]] = {}
    for source in sources:
        if source.width and source.height:
            continue
        # The grid's preview is of the source itself unless the source came with one.
        edge_px = VIEWER_EDGE_PX if source.preview else PREVIEW_EDGE_PX
        wanted.setdefault(spec_for(source, edge_px).key(project_pk), []).append(source)
    if not wanted:
        return
    ready = Preview.objects.filter(state=Preview.State.READY, pk__in=wanted)
    for key, width, height in ready.values_list("key", "original_width", "original_height"):
        for source in wanted[key]:
            source.width, source.height = width, height


def _header(version: Version) -> Header:
    """Return what a manifest says of the dataset and version, without what is empty."""
    dataset = version.dataset
    about: dict[str, Any] = {
        "name": dataset.name,
        "description": dataset.description,
        "tags": dataset.tags,
    }
    named: dict[str, Any] = {
        "name": version.name,
        "description": version.description,
        "metadata": version.metadata,
    }
    return Header(
        {key: value for key, value in about.items() if value},
        {key: value for key, value in named.items() if value},
    )


def _labels(index: DatasetIndex, version: Version) -> list[str]:
    """Return the labels of the whole version in byte order, but for those in hash buckets."""
    counts = index.counts("label", index.members(version), limit=LABELS_MAX)
    return sorted(item.value for item in counts)


def _folder(version: Version, snapshot: BitMap, on_chunk: Callable[[int], None]) -> str:
    """Return the folder that the sources of all frames lie in. Queries: 1 for each 10,000."""
    prefix: str | None = None
    for start in range(0, len(snapshot), READ_CHUNK):
        part = snapshot[start : start + READ_CHUNK]
        pks = [frame_pk(version.dataset_id, ordinal) for ordinal in part]
        uris = Source.objects.filter(frame__in=pks).values_list("uri", flat=True)
        known = [] if prefix is None else [prefix]
        prefix = commonprefix([*known, *uris.iterator(chunk_size=READ_CHUNK)])  # noqa: RUF071  no path
        on_chunk(0)
    folder = (prefix or "")[: (prefix or "").rfind("/") + 1]
    # Of two stores, or of two hosts, there is no folder.
    return folder if folder.count("/") > 2 else ""
