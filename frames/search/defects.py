"""What is wrong with the frames of a version: the kinds of defects that a check looks for.

Geometry and labels are set algebra. Collisions and duplicates read two narrow columns of all
revisions of the dataset, in parts, and hold 4 bytes a frame and what repeats.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from frames.index import geometry, store
from frames.index.bitmaps import SEGMENT_BITS, SEGMENT_SIZE, BitMap, load, to_array
from frames.index.reader import DatasetIndex
from frames.models import CheckFinding, Frame, Preview, PreviewReason, Source
from frames.models.frame import frame_pk, ordinal_of
from frames.search import order
from frames.search.pages import FramePage, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from frames.index.bitmaps import UInt32Array
    from frames.models import Version
    from frames.search.query import FrameQuery

Kind = CheckFinding.Kind

# What a preview can have failed with that says its source could not be had.
UNREACHABLE: Final = (
    PreviewReason.NOT_FOUND,
    PreviewReason.FORBIDDEN,
    PreviewReason.NOT_ALLOWED,
    PreviewReason.PRIVATE_ADDRESS,
    PreviewReason.UNREACHABLE,
    PreviewReason.TIMED_OUT,
)
_GEOMETRY: Final = {Kind.ZERO_AREA: geometry.ZERO_AREA, Kind.OUTSIDE: geometry.OUTSIDE}
_FRAMES_PER_EXAMPLE: Final = 4
_ROWS_AT_ONCE: Final = 100_000
_MOMENTS_AT_ONCE: Final = 5_000
_LABELS_MAX: Final = 10**9


@dataclass(slots=True)
class Found:
    """The frames with one kind of defect, and a few of the defects as objects."""

    frames: BitMap = field(default_factory=BitMap)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add_example(self, **example: Any) -> None:
        """Keep an example while there are few."""
        if len(self.examples) < CheckFinding.EXAMPLES_MAX:
            self.examples.append(example)


def finding_page(
    version: Version, finding: CheckFinding, query: FrameQuery, limit: int
) -> FramePage:
    """Return a page of the frames found that a version still holds. Raises QueryError.

    Queries: 1 to 4 for the order, 2 for the rows.
    """
    index = DatasetIndex(version.dataset)
    frames = load(finding.frames) & index.members(version)
    ordinals, after = order.page_of(index, frames, query, limit)
    return FramePage(finding.count, len(frames), rows_of(version.dataset, ordinals), after)


def geometry_defects(index: DatasetIndex, members: BitMap) -> dict[str, Found]:
    """Return the frames with regions without an area, and with ones outside. Queries: up to 6."""
    found = {}
    for kind, key in _GEOMETRY.items():
        frames = index.boolean(key, value=True) & members
        examples = [{"frame": name} for name in _names(index, frames)]
        found[kind.value] = Found(frames, examples)
    return found


def label_case(index: DatasetIndex, members: BitMap) -> Found:
    """Return the frames with a label that another spelling of has more frames.

    Two labels are one where they are equal without regard to case. Past the number of texts
    that a key keeps as terms, further labels are not looked at.
    Queries: 2, and 1 for each 500 labels.
    """
    spellings: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for item in index.counts("label", members, limit=_LABELS_MAX):
        spellings[item.value.casefold()].append((item.frames, item.value))
    found = Found()
    several = [sorted(written, reverse=True) for written in spellings.values() if len(written) > 1]
    for written in sorted(several, reverse=True):
        found.add_example(labels=[[label, frames] for frames, label in written])
    rarer = [label for written in several for _, label in written[1:]]
    for part in store.chunks(rarer):
        for term in index.texts("label", part):
            found.frames |= term.frames & members
    return found


def collisions(index: DatasetIndex, members: BitMap, tick: Callable[[int], None]) -> Found:
    """Return the frames that share their context and timestamp with another of the set.

    `tick` is told of every part how many revisions have been looked at.
    Queries: 2 for each 100,000 revisions, and 1 for each 100 moments with more than two.
    """
    dataset_pk = index.dataset.pk
    found = Found()
    done, after = 0, None
    while True:
        last = store.context_in(dataset_pk, after, _ROWS_AT_ONCE - 1)
        for moment, frames in _repeated(dataset_pk, after, last):
            frames &= members
            if len(frames) > 1:
                found.frames |= frames
                found.add_example(context=moment[0], timestamp=moment[1], frames=len(frames))
        if last is None:
            tick(index.dataset.next_ordinal)
            return found
        done = min(done + _ROWS_AT_ONCE, index.dataset.next_ordinal)
        tick(done)
        after = last


def _repeated(
    dataset_pk: int, after: str | None, last: str | None
) -> Iterator[tuple[tuple[str, float], BitMap]]:
    """Yield the moments, of the contexts in (after, last], that several revisions have."""
    place = (after, np.finfo(np.float64).max.item()) if after is not None else None
    while True:
        rows = store.repeated_moments(dataset_pk, place, last, _MOMENTS_AT_ONCE)
        crowded = []
        for context, timestamp, count, least, greatest in rows:
            if count == 2:
                yield (context, timestamp), BitMap([ordinal_of(least), ordinal_of(greatest)])
            else:
                crowded.append((context, timestamp))
        for part in store.chunks(crowded, 100):
            frames: defaultdict[int, BitMap] = defaultdict(BitMap)
            for number, pk in store.revisions_at(dataset_pk, part):
                frames[number].add(ordinal_of(pk))
            yield from ((part[number], sharing) for number, sharing in frames.items())
        if len(rows) < _MOMENTS_AT_ONCE:
            return
        place = rows[-1][:2]


def duplicates(index: DatasetIndex, members: BitMap, tick: Callable[[int], None]) -> Found:
    """Return the frames whose content another frame of the set has too, ids apart.

    Equal by digest: context, timestamp, metadata, regions and sources. `tick` is as in
    `collisions`. Memory: 8 bytes a frame. Queries: 1 for each 65,536 revisions, and 1 for each
    500 frames of which another begins with the same 32 bits of digest.
    """
    dataset = index.dataset
    ordinals = to_array(members)
    heads = np.zeros(len(ordinals), dtype=np.uint32)
    for segment in range((dataset.next_ordinal + SEGMENT_SIZE - 1) >> SEGMENT_BITS):
        first, end = segment << SEGMENT_BITS, (segment + 1) << SEGMENT_BITS
        low, high = np.searchsorted(ordinals, first), np.searchsorted(ordinals, end)
        if low < high:
            column = _heads(frame_pk(dataset.pk, first))
            heads[low:high] = column[ordinals[low:high] - np.uint32(first)]
        tick(min(end, dataset.next_ordinal))
    order = np.argsort(heads)
    ascending = heads[order]
    is_repeated = np.zeros(len(heads), dtype=bool)
    equal = ascending[1:] == ascending[:-1]
    is_repeated[1:] |= equal
    is_repeated[:-1] |= equal
    found = Found()
    for frames in _equal_digests(dataset.pk, ordinals[order[is_repeated]], ascending[is_repeated]):
        found.frames |= frames
        if len(found.examples) < CheckFinding.EXAMPLES_MAX:
            found.add_example(names=_names(index, frames), frames=len(frames))
    return found


def _heads(first_pk: int) -> UInt32Array:
    """Return the first 32 bits of the digest of each revision of a segment, 0 for gaps."""
    rows = store.digests(first_pk, first_pk + SEGMENT_SIZE)
    column = np.zeros(SEGMENT_SIZE, dtype=np.uint32)
    if rows:
        pks, values = zip(*rows, strict=True)
        places = np.array(pks, dtype=np.int64) - first_pk
        column[places] = np.frombuffer(b"".join(values), dtype=np.uint32)[::4]
    return column


def _equal_digests(dataset_pk: int, ordinals: UInt32Array, heads: UInt32Array) -> Iterator[BitMap]:
    """Yield the sets of frames with one digest; given are those with equal heads, in order."""
    waiting: defaultdict[bytes, BitMap] = defaultdict(BitMap)
    head = None
    for start in range(0, len(ordinals), store.CHUNK):
        part = ordinals[start : start + store.CHUNK].tolist()
        pks = [frame_pk(dataset_pk, ordinal) for ordinal in part]
        digests = dict(store.rows_by_id(Frame, pks, "digest"))
        for ordinal, pk, this in zip(part, pks, heads[start : start + store.CHUNK], strict=True):
            if this != head:
                yield from (frames for frames in waiting.values() if len(frames) > 1)
                waiting.clear()
                head = this
            if pk in digests:
                waiting[bytes(digests[pk])].add(ordinal)
    yield from (frames for frames in waiting.values() if len(frames) > 1)


def failed_sources(index: DatasetIndex, members: BitMap, tick: Callable[[int], None]) -> Found:
    """Return the frames with a source of which a preview has failed because it cannot be had.

    What nobody has looked at yet, and no import has planned, is not known to fail.
    Queries: 1 where none has failed, else 1 for each 65,536 revisions.
    """
    dataset = index.dataset
    failed = Preview.objects.filter(
        project=dataset.project_id, state=Preview.State.FAILED, reason__in=UNREACHABLE
    )
    found = Found()
    if not failed.exists():
        tick(dataset.next_ordinal)
        return found
    for first in range(0, dataset.next_ordinal, SEGMENT_SIZE):
        end = min(first + SEGMENT_SIZE, dataset.next_ordinal)
        sources = Source.objects.filter(
            frame__gte=frame_pk(dataset.pk, first),
            frame__lt=frame_pk(dataset.pk, end),
            uri__in=failed.values("uri"),
        )
        for pk, uri in sources.values_list("frame_id", "uri").iterator(chunk_size=10_000):
            if ordinal_of(pk) in members:
                found.frames.add(ordinal_of(pk))
                if all(example["uri"] != uri for example in found.examples):
                    found.add_example(uri=uri)
        tick(end)
    reasons = dict(
        failed.filter(uri__in=[e["uri"] for e in found.examples]).values_list("uri", "reason")
    )
    # One that somebody has retried since has no reason any more.
    found.examples = [example for example in found.examples if example["uri"] in reasons]
    for example in found.examples:
        example["reason"] = PreviewReason(reasons[example["uri"]]).label
    return found


def _names(index: DatasetIndex, frames: BitMap) -> list[str]:
    """Return the ids of the first few frames of a set. Queries: 0 or 1."""
    if not frames:
        return []
    rows = Frame.objects.at(index.dataset, frames[:_FRAMES_PER_EXAMPLE]).order_by("pk")
    return list(rows.values_list("frame_id", flat=True))
