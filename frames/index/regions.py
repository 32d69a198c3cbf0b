"""Sets of regions, and the way from regions to their frames.

The regions of a segment are numbered densely in the order of their frames; `offsets[i]` is the
number of the first region of the segment's frame i. Numbering them `frame << 16 | i` was 40
times slower: every frame would open a container of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from frames.index.bitmaps import (
    SEGMENT_BITS,
    BitMap,
    from_array,
    rows_by_segment,
    to_array,
    union,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from frames.index.bitmaps import UInt32Array

# From so many neighbours on, on average, ranges are sooner made than every region's number.
_FRAMES_PER_RUN: Final = 8
# From one in so many regions on they are sooner looked up in a table of all than searched.
_SPARSE: Final = 48


class Offsets(Mapping[int, "UInt32Array"]):
    """The number of the first region of each frame of a segment, and one more at its end.

    (frames + 1,) uint32 by segment. Kept as how many regions each frame has, a byte each as a
    rule: the offsets of ten million frames are 40 MB, which a cache should not spend on them. Each
    look-up takes 0.1 ms.
    """

    def __init__(self) -> None:
        self._counts: dict[int, npt.NDArray[np.unsignedinteger]] = {}

    def add(self, segment: int, offsets: UInt32Array) -> None:
        """Keep the offsets of a segment."""
        counts = np.diff(offsets)
        smallest = np.min_scalar_type(int(counts.max(initial=0)))
        self._counts[segment] = counts.astype(smallest)

    @property
    def size_bytes(self) -> int:
        """What is kept."""
        return sum(counts.nbytes for counts in self._counts.values())

    def __getitem__(self, segment: int) -> UInt32Array:
        counts = self._counts[segment]
        offsets = np.zeros(len(counts) + 1, dtype=np.uint32)
        np.cumsum(counts.astype(np.uint32), out=offsets[1:])
        return offsets

    def __contains__(self, segment: object) -> bool:
        # Mapping's own would make the offsets.
        return segment in self._counts

    def __iter__(self) -> Iterator[int]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)


@dataclass(frozen=True, slots=True)
class RegionSet:
    """Regions of one dataset: by segment, a bitmap of their numbers there."""

    segments: dict[int, BitMap] = field(default_factory=dict)

    def __and__(self, other: RegionSet) -> RegionSet:
        return RegionSet(
            {
                segment: both
                for segment, bitmap in self.segments.items()
                if segment in other.segments and (both := bitmap & other.segments[segment])
            }
        )

    def __or__(self, other: RegionSet) -> RegionSet:
        merged = dict(self.segments)
        for segment, bitmap in other.segments.items():
            merged[segment] = merged[segment] | bitmap if segment in merged else bitmap
        return RegionSet(merged)

    def __sub__(self, other: RegionSet) -> RegionSet:
        return RegionSet(
            {
                segment: rest
                for segment, bitmap in self.segments.items()
                if (
                    rest := bitmap - other.segments[segment]
                    if segment in other.segments
                    else bitmap
                )
            }
        )

    def __len__(self) -> int:
        return sum(len(bitmap) for bitmap in self.segments.values())


def frames_of(regions: RegionSet, offsets: Mapping[int, UInt32Array]) -> BitMap:
    """Return the ordinals of the frames that have at least one of the regions."""
    # A segment without offsets has lost all of its frames since its regions were read.
    return union(
        from_array(FrameOf(offsets[segment]).each_once(bitmap) + np.uint32(segment << SEGMENT_BITS))
        for segment, bitmap in regions.segments.items()
        if segment in offsets
    )


def frames_with_count(
    regions: RegionSet, offsets: Mapping[int, UInt32Array], least: int, most: float
) -> BitMap:
    """Return the frames that `least` to `most` of the regions, and 1 at least, belong to."""
    found: list[BitMap] = []
    for segment, bitmap in regions.segments.items():
        if segment not in offsets:
            continue
        rows = FrameOf(offsets[segment]).each(bitmap)
        begins = _begins(rows)
        counts = np.diff(begins, append=len(rows))
        kept = rows[begins[(counts >= least) & (counts <= most)]]
        found.append(from_array(kept + (segment << SEGMENT_BITS)))
    return union(found)


def regions_of(frames: BitMap, offsets: Mapping[int, UInt32Array]) -> RegionSet:
    """Return all regions of the given frames."""
    found: dict[int, BitMap] = {}
    for segment, rows in rows_by_segment(frames):
        if segment not in offsets:
            continue
        starts = offsets[segment]
        jumps = np.flatnonzero(np.diff(rows) != 1)
        if len(jumps) * _FRAMES_PER_RUN < len(rows):
            found[segment] = _of_runs(rows, jumps, starts)
            continue
        begins, ends = starts[rows], starts[rows + 1]
        lengths = ends - begins
        total = int(lengths.sum())
        if not total:
            continue
        # begins repeated by length, plus 0..length-1 inside each run, without a loop.
        ramp = np.arange(total, dtype=np.uint32) - np.repeat(
            np.cumsum(lengths, dtype=np.uint32) - lengths, lengths
        )
        found[segment] = from_array(np.repeat(begins, lengths) + ramp)
    return RegionSet({segment: bitmap for segment, bitmap in found.items() if bitmap})


def region_count(frames: BitMap, offsets: Mapping[int, UInt32Array]) -> int:
    """Return how many regions the given frames have together."""
    return sum(
        int(np.diff(offsets[segment])[rows].sum())
        for segment, rows in rows_by_segment(frames)
        if segment in offsets
    )


def region_counts(ordinals: UInt32Array, offsets: Mapping[int, UInt32Array]) -> UInt32Array:
    """Return how many regions each of the given frames has: (n,) uint32 in the same order."""
    counts = np.zeros(len(ordinals), dtype=np.uint32)
    segments = ordinals >> SEGMENT_BITS
    for segment in np.unique(segments).tolist():
        here = segments == segment
        rows = ordinals[here] & ((1 << SEGMENT_BITS) - 1)
        starts = offsets[segment]
        counts[here] = starts[rows + 1] - starts[rows]
    return counts


def weights(regions: RegionSet, offsets: Mapping[int, UInt32Array], frames: int) -> UInt32Array:
    """Return how many of the regions each frame has, by ordinal: (frames,) uint32."""
    found = np.zeros(frames, dtype=np.uint32)
    for segment, bitmap in regions.segments.items():
        if segment not in offsets:
            continue
        counts = np.bincount(FrameOf(offsets[segment]).each(bitmap))
        first = segment << SEGMENT_BITS
        found[first : first + len(counts)] = counts
    return found


def frame_of_each(
    numbers: UInt32Array, segment: int, offsets: Mapping[int, UInt32Array]
) -> UInt32Array:
    """Return the ordinal of the frame of each region of a segment: (n,) uint32 in their order."""
    rows = np.searchsorted(offsets[segment], numbers, side="right") - 1
    return (rows + (segment << SEGMENT_BITS)).astype(np.uint32)


def _of_runs(rows: UInt32Array, jumps: npt.NDArray[np.intp], starts: UInt32Array) -> BitMap:
    """Return the regions of frames that lie in few runs of neighbours, `jumps` between them."""
    firsts, lasts = np.append(0, jumps + 1), np.append(jumps, len(rows) - 1)
    found = BitMap()
    for begin, end in zip(
        starts[rows[firsts]].tolist(), starts[rows[lasts] + 1].tolist(), strict=True
    ):
        found.add_range(begin, end)
    return found


def _begins(rows: UInt32Array) -> npt.NDArray[np.intp]:
    """Return where each run of equal rows begins."""
    return np.flatnonzero(np.diff(rows, prepend=np.uint32(2**32 - 1)))


class FrameOf:
    """Which row of a segment each of its regions belongs to, by its offsets."""

    def __init__(self, offsets: UInt32Array) -> None:
        self._offsets = offsets
        self._asked = 0

    def each(self, regions: BitMap) -> UInt32Array:
        """Return the row of each region, in their order; equal ones stand together."""
        numbers = to_array(regions)
        self._asked += len(numbers)
        if self._asked * _SPARSE < self._offsets[-1]:
            rows = np.searchsorted(self._offsets, numbers, side="right") - 1
            return rows.astype(np.uint32)
        return self._table[numbers]

    def each_once(self, regions: BitMap) -> UInt32Array:
        """Return the rows that have one of the regions, ascending. A fifth of np.unique's time."""
        rows = self.each(regions)
        return rows[_begins(rows)]

    @cached_property
    def _table(self) -> UInt32Array:
        every = np.arange(len(self._offsets) - 1, dtype=np.uint32)
        return np.repeat(every, np.diff(self._offsets))
