"""Making previews: rows say what is wanted and what became of it, the queue is only a hint.

Whatever is lost, a message, a worker, a queue: the row still waits, and when its `due_at` has
passed the sweep sends it again. Rendering what is there already costs one query.
"""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

import structlog
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import timezone

from frames.actions.queue import enqueue
from frames.media import MediaError, MediaPolicy, open_uri, policy_for
from frames.media.kinds import Kind, kind_of
from frames.models import Dataset, Preview, PreviewReason, Project, Source
from frames.models.frame import frame_pk
from frames.previews.picture import render_picture
from frames.previews.spec import PREVIEW_EDGE_PX, PreviewSpec, spec_for
from frames.previews.storage import has_preview, save_preview
from frames.previews.video import render_video_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from frames.previews.rendered import Rendered

log = structlog.get_logger(__name__)

STILLS_PER_TASK: Final = 32
FRAMES_PER_TASK: Final = 256
PLAN_CHUNK_ORDINALS: Final = 2_048
SWEEP_MAX_ROWS: Final = 4_096
MAX_ATTEMPTS: Final = 5
# The task past the queue of imports.
_REQUESTED = "frames.render_requested"
# How long a message may wait in the queue, and a worker be silent, before the row is sent again.
LOST_AFTER: Final = timedelta(minutes=10)
LEASE: Final = timedelta(minutes=2)
# Before the second, third, fourth and fifth attempt.
BACK_OFF: Final = tuple(timedelta(seconds=seconds) for seconds in (15, 60, 300, 1_800))
# Results are written at least this often, so that tiles fill in while a long video is decoded.
FLUSH_S: Final = 2.0
# A task that takes longer leaves the rest to another, so that nobody waits behind it.
TASK_BUDGET_S: Final = 90.0

Item = TypeVar("Item")

# Rows that have gone with their project, or that another worker has answered, are left alone.
_WRITE_RESULT: Final = """
    UPDATE frames_preview
    SET state = %s, reason = %s, detail = %s, attempts = %s, due_at = %s, updated_at = %s,
        width = %s, height = %s, original_width = %s, original_height = %s,
        original_displayable = %s, color = %s, bytes = %s
    WHERE key = %s AND state = 'pending'
"""


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _send(previews: Iterable[Preview], task: str = "frames.render_previews") -> None:
    """Put the rendering of these on the queue: stills together, each video's frames together."""
    stills: list[str] = []
    videos: dict[str, list[Preview]] = {}
    for preview in previews:
        if kind_of(preview.uri, preview.content_type) is Kind.VIDEO:
            videos.setdefault(preview.uri, []).append(preview)
        else:
            stills.append(preview.key)
    for keys in _chunks(stills, STILLS_PER_TASK):
        enqueue(task, keys=keys)
    for frames in videos.values():
        frames.sort(key=lambda preview: preview.timestamp_ms)
        for chunk in _chunks(frames, FRAMES_PER_TASK):
            enqueue(task, keys=[preview.key for preview in chunk])


def _want(project_pk: int, specs: Iterable[PreviewSpec], task: str) -> dict[str, Preview]:
    """Make the rows that are missing, enqueue them, and return all by key.

    What is looked at and waits in the queue of an import is enqueued again, past it: whoever
    comes second finds it made.
    """
    wanted = {spec.key(project_pk): spec for spec in specs}
    found: dict[str, Preview] = {}
    for keys in _chunks(wanted, 500):
        found |= Preview.objects.in_bulk(keys)
    missing = [
        Preview(
            key=key,
            project_id=project_pk,
            uri=spec.uri,
            content_type=spec.content_type,
            timestamp_ms=spec.timestamp_ms,
            edge_px=spec.edge_px,
            due_at=timezone.now() + LOST_AFTER,
        )
        for key, spec in wanted.items()
        if key not in found
    ]
    # A page that misses nothing must not wait for whoever is writing.
    if missing:
        with transaction.atomic():
            # Another planner may have made some of them in this moment; it sends them too.
            Preview.objects.bulk_create(missing, ignore_conflicts=True, batch_size=500)
            _send(missing, task)
    if task == _REQUESTED:
        _send((preview for preview in found.values() if is_unbegun(preview)), task)
    return found | {preview.key: preview for preview in missing}


def is_unbegun(preview: Preview) -> bool:
    """Whether no worker has taken it up yet."""
    return preview.state == Preview.State.PENDING and not preview.attempts


def plan(dataset_pk: int, first_ordinal: int, end_ordinal: int) -> None:
    """Make and enqueue the grid previews that the frame revisions [first, end) want.

    Cost: 0.1 ms a new preview; five queries for 2,048 frames, and those of its insertion.
    """
    dataset = Dataset.objects.filter(pk=dataset_pk).only("project_id").first()
    if dataset is None:
        # Deleted while its message waited.
        return
    for first in range(first_ordinal, end_ordinal, PLAN_CHUNK_ORDINALS):
        end = min(first + PLAN_CHUNK_ORDINALS, end_ordinal)
        sources = Source.objects.filter(
            frame_id__gte=frame_pk(dataset_pk, first), frame_id__lt=frame_pk(dataset_pk, end)
        ).only("uri", "content_type", "timestamp", "preview")
        specs = (spec_for(source, PREVIEW_EDGE_PX) for source in sources)
        _want(dataset.project_id, specs, "frames.render_previews")


def request(project: Project, sources: Iterable[Source], edge_px: int) -> dict[int, Preview]:
    """Make and enqueue what a page shows now, if it is not there yet; return it by source.

    Idempotent: what has failed stays as it is. What no worker has taken up yet does not wait
    behind the previews of a large import.
    """
    specs = {source.pk: spec_for(source, edge_px) for source in sources}
    previews = _want(project.pk, specs.values(), _REQUESTED)
    return {pk: previews[spec.key(project.pk)] for pk, spec in specs.items()}


def ask(source_pks: Sequence[int], edge_px: int) -> None:
    """Have a worker plan what a page shows, asked for once in half a minute.

    Not in the request: a page never waits for a writer.
    """
    if cache.add(f"previews-asked:{edge_px}:{min(source_pks)}:{len(source_pks)}", 1, timeout=30):
        enqueue("frames.plan_shown_previews", source_pks=sorted(source_pks), edge_px=edge_px)


def plan_shown(source_pks: Sequence[int], edge_px: int) -> None:
    """Make and enqueue the previews of some sources. Queries: 2, and those of `request`."""
    sources: dict[int, list[Source]] = {}
    for source in Source.objects.filter(pk__in=source_pks).select_related("frame__dataset"):
        sources.setdefault(source.frame.dataset.project_id, []).append(source)
    for project in Project.objects.filter(pk__in=sources):
        request(project, sources[project.pk], edge_px)


def retry(keys: Sequence[str]) -> int:
    """Make again what has failed, and what was made and is gone; return how many that were."""
    with transaction.atomic():
        answered = Preview.objects.select_for_update().filter(key__in=keys)
        again = [
            preview
            for preview in answered.exclude(state=Preview.State.PENDING)
            if preview.state == Preview.State.FAILED or not has_preview(preview.name)
        ]
        Preview.objects.filter(key__in=[preview.key for preview in again]).update(
            state=Preview.State.PENDING,
            reason="",
            detail="",
            attempts=0,
            due_at=timezone.now() + LOST_AFTER,
        )
        _send(again, _REQUESTED)
    return len(again)


def sweep() -> int:
    """Send again the previews whose worker, message or queue was lost; return how many.

    Two sweeps at once take different rows. What waits in a long queue may be sent twice; the
    second message then finds it ready.
    """
    now = timezone.now()
    with transaction.atomic():
        lost = list(
            Preview.objects.select_for_update(skip_locked=True)
            .filter(state=Preview.State.PENDING, due_at__lte=now)
            .order_by("due_at")[:SWEEP_MAX_ROWS]
        )
        for chunk in _chunks([preview.key for preview in lost], 500):
            Preview.objects.filter(key__in=chunk).update(due_at=now + LOST_AFTER)
        _send(lost)
    return len(lost)


class _Results:
    """Collects what became of previews and writes it in bulk, now and then."""

    def __init__(self, waiting: Iterable[Preview]) -> None:
        self._waiting = {preview.key: preview for preview in waiting}
        self._rows: list[tuple[str | int | bool | None, ...]] = []
        self._flushed_s = time.monotonic()

    def ready(self, preview: Preview, rendered: Rendered) -> None:
        """Keep a picture, then note that it is there: never the other way round."""
        save_preview(preview.name, rendered.data)
        self._note(preview, Preview.State.READY, rendered=rendered)

    def failed(self, preview: Preview, error: MediaError) -> None:
        """Note why there is no picture, and when to try again if that may help."""
        if error.retryable and preview.attempts < MAX_ATTEMPTS:
            preview.due_at = timezone.now() + BACK_OFF[preview.attempts - 1]
            self._note(preview, Preview.State.PENDING, detail=error.detail)
        else:
            self._note(preview, Preview.State.FAILED, reason=error.reason, detail=error.detail)

    def fail_rest(self, unit: Iterable[Preview], error: MediaError) -> None:
        """Note the same failure for all of a unit that have no answer yet."""
        for preview in unit:
            if preview.key in self._waiting:
                self.failed(preview, error)

    def released(self, preview: Preview) -> None:
        """Note that the work on it was not begun after all."""
        preview.attempts -= 1
        preview.due_at = timezone.now() + LOST_AFTER
        self._note(preview, Preview.State.PENDING)

    def _note(
        self,
        preview: Preview,
        state: Preview.State,
        *,
        reason: str = "",
        detail: str = "",
        rendered: Rendered | None = None,
    ) -> None:
        del self._waiting[preview.key]
        adapt = connection.ops.adapt_datetimefield_value
        row = (
            state.value,
            str(reason),
            detail[:500],
            preview.attempts,
            adapt(preview.due_at),
            adapt(timezone.now()),
        )
        picture: tuple[str | int | bool | None, ...] = (None, None, None, None, False, "", None)
        if rendered is not None:
            picture = (
                rendered.width,
                rendered.height,
                rendered.original_width,
                rendered.original_height,
                rendered.original_displayable,
                rendered.color,
                len(rendered.data),
            )
        self._rows.append((*row, *picture, preview.key))
        if time.monotonic() - self._flushed_s > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Write what is done, and keep the sweep off what is not."""
        if not self._rows:
            return
        with transaction.atomic(), connection.cursor() as cursor:
            # By hand: bulk_update writes a CASE for each field of each row, and building that
            # takes longer than the rendering.
            cursor.executemany(_WRITE_RESULT, self._rows)
            if self._waiting:
                Preview.objects.filter(
                    key__in=[*self._waiting], state=Preview.State.PENDING
                ).update(due_at=timezone.now() + LEASE)
        self._rows.clear()
        self._flushed_s = time.monotonic()


def _claim(keys: Sequence[str]) -> list[Preview]:
    """Return those that still wait, with their attempt counted before it is made.

    So that a file which kills its worker is found out: what was begun twice without an answer is
    tried on its own, so that it takes no neighbour with it, and at most MAX_ATTEMPTS times.
    """
    with transaction.atomic():
        waiting = list(
            Preview.objects.select_for_update()
            .filter(key__in=keys, state=Preview.State.PENDING)
            .only("project_id", "uri", "content_type", "timestamp_ms", "edge_px", "attempts")
        )
        if len(keys) > 1:
            alone = [preview for preview in waiting if preview.attempts >= 2]
            for preview in alone:
                enqueue("frames.render_previews", keys=[preview.key])
            waiting = [preview for preview in waiting if preview.attempts < 2]
        now = timezone.now()
        for preview in waiting:
            preview.attempts += 1
            preview.due_at = now + LEASE
        for attempts in {preview.attempts for preview in waiting}:
            Preview.objects.filter(
                key__in=[preview.key for preview in waiting if preview.attempts == attempts]
            ).update(attempts=attempts, due_at=now + LEASE)
    return waiting


def _render_still(preview: Preview, policy: MediaPolicy, results: _Results) -> None:
    if kind_of(preview.uri, preview.content_type) is Kind.OTHER:
        raise MediaError(PreviewReason.UNSUPPORTED, "Files of this type are not shown as pictures.")
    with open_uri(preview.uri, policy) as file:
        rendered = render_picture(file, edge_px=preview.edge_px, max_pixels=policy.max_pixels)
    results.ready(preview, rendered)


def _render_video(
    frames: Sequence[Preview], policy: MediaPolicy, results: _Results, budget_s: float
) -> list[Preview]:
    """Render the frames of one video at one size; return those there was no time for."""
    by_time = {preview.timestamp_ms: preview for preview in frames}
    with open_uri(frames[0].uri, policy, max_bytes=policy.max_video_bytes) as file:
        for timestamp_ms, rendered in render_video_frames(
            file,
            [*by_time],
            edge_px=frames[0].edge_px,
            max_pixels=policy.max_pixels,
            budget_s=budget_s,
        ):
            preview = by_time.pop(timestamp_ms)
            if isinstance(rendered, MediaError):
                results.failed(preview, rendered)
            else:
                results.ready(preview, rendered)
    return [*by_time.values()]


def _units(previews: Iterable[Preview]) -> list[list[Preview]]:
    """Group what is rendered from one opening of a file: a still, or frames of one video."""
    units: dict[tuple[object, ...], list[Preview]] = {}
    for preview in previews:
        unit: tuple[object, ...] = (preview.key,)
        if kind_of(preview.uri, preview.content_type) is Kind.VIDEO:
            unit = (preview.project_id, preview.uri, preview.edge_px)
        units.setdefault(unit, []).append(preview)
    return [*units.values()]


def render(keys: Sequence[str]) -> None:
    """Render those of the given previews that still wait, and note what became of each.

    Queries: four to take the work, two for each two seconds of it.
    """
    waiting = _claim(keys)
    results = _Results(waiting)
    projects = Project.objects.in_bulk({preview.project_id for preview in waiting})
    policies = {pk: policy_for(project) for pk, project in projects.items()}
    left: list[Preview] = []
    deadline = time.monotonic() + TASK_BUDGET_S
    try:
        for number, unit in enumerate(_units(waiting)):
            policy = policies[unit[0].project_id]
            budget_s = deadline - time.monotonic()
            if number > 0 and budget_s <= 0:
                left += unit
                continue
            try:
                if unit[0].attempts > MAX_ATTEMPTS:
                    raise MediaError(
                        PreviewReason.INTERNAL, "The worker died each time it was tried."
                    )
                if kind_of(unit[0].uri, unit[0].content_type) is Kind.VIDEO:
                    left += _render_video(unit, policy, results, budget_s)
                else:
                    _render_still(unit[0], policy, results)
            except MediaError as error:
                results.fail_rest(unit, error)
            except Exception as error:
                # One file that is not understood must not keep its neighbours waiting.
                log.exception("preview.failed", uri=unit[0].uri)
                results.fail_rest(
                    unit,
                    MediaError(
                        PreviewReason.INTERNAL,
                        f"{type(error).__name__}; the log has the reason.",
                        retryable=isinstance(error, OSError),
                    ),
                )
        for preview in left:
            results.released(preview)
    finally:
        results.flush()
    _send(left)
