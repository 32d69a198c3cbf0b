"""What is wrong with the frames of a version: the kinds of defects that a check looks for.

All is set algebra, but for duplicates, which must collide first: the digests of those are read.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from frames.index import geometry, store
from frames.index.bitmaps import SEGMENT_SIZE, BitMap, from_array, load, to_array
from frames.index.reader import DatasetIndex
from frames.models import CheckFinding, Frame, Preview, PreviewReason, Source
from frames.models.frame import frame_pk, ordinal_of
from frames.search import order
from frames.search.pages import FramePage
from frames.search.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

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

    `tick` is told now and then how many revisions have been looked at. Memory: 40 bytes a frame.
    Queries: 1 for each 4,096 contexts that several revisions have, 1 for each 500 of them, and 1
    for each 500 ranges of timestamps.
    """
    context_of = np.zeros(members.max() + 1 if members else 0, dtype=np.uint32)
    done = 0
    for number, context in enumerate(index.shared_texts("context_id"), 1):
        context_of[to_array(context.frames & members)] = number
        done += len(context.frames)
        tick(done)
    ordinals = np.flatnonzero(context_of).astype(np.uint32)
    contexts, timestamps = context_of[ordinals], index.numbers("timestamp", ordinals)
    order = np.lexsort((timestamps, contexts))
    contexts, timestamps = contexts[order], timestamps[order]
    is_like_last = (contexts[1:] == contexts[:-1]) & (timestamps[1:] == timestamps[:-1])
    found, groups = _repeated(ordinals[order], is_like_last)
    frames_at = {group.min(): len(group) for group in groups}
    rows = Frame.objects.at(index.dataset, frames_at).order_by("context_id", "timestamp")
    for row in rows.only("context_id", "timestamp"):
        found.add_example(
            context=row.context_id, timestamp=row.timestamp, frames=frames_at[row.ordinal]
        )
    tick(index.dataset.next_ordinal)
    return found


def duplicates(index: DatasetIndex, collided: BitMap, tick: Callable[[int], None]) -> Found:
    """Return the frames whose content another of the set has too, ids apart.

    Equal by digest: context, timestamp, metadata, regions and sources. So only frames that
    collide are asked of. `tick` is as in `collisions`. Memory: 60 bytes for each of them.
    Queries: 1 for each 500.
    """
    ordinals, digests = array("I"), bytearray()
    for part in store.chunks(to_array(collided).tolist()):
        pks = [frame_pk(index.dataset.pk, ordinal) for ordinal in part]
        for pk, digest in store.rows_by_id(Frame, pks, "digest"):
            ordinals.append(ordinal_of(pk))
            digests += digest
        tick(part[-1])
    halves = np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2)
    order = np.lexsort(halves.T)
    halves = halves[order]
    is_like_last = (halves[1:] == halves[:-1]).all(axis=1)
    found, groups = _repeated(np.frombuffer(ordinals, dtype=np.uint32)[order], is_like_last)
    for group in groups:
        found.add_example(names=_names(index, group), frames=len(group))
    tick(index.dataset.next_ordinal)
    return found


def _repeated(
    ordinals: UInt32Array, is_like_last: npt.NDArray[np.bool_]
) -> tuple[Found, list[BitMap]]:
    """Return the frames that stand beside one they are like, and a few sets of such frames.

    `is_like_last` says of each but the first whether it is like the one before it.
    """
    is_repeated = np.zeros(len(ordinals), dtype=bool)
    is_repeated[1:] |= is_like_last
    is_repeated[:-1] |= is_like_last
    edges = np.flatnonzero(np.diff(is_like_last, prepend=False, append=False))
    ends = edges[: 2 * CheckFinding.EXAMPLES_MAX].reshape(-1, 2).tolist()
    groups = [from_array(ordinals[first : last + 1]) for first, last in ends]
    return Found(from_array(ordinals[is_repeated])), groups


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
