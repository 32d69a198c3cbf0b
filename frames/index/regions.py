"""Sets of regions, and the way from regions to their frames.

The regions of a segment are numbered densely in the order of their frames; `offsets[i]` is the
number of the first region of the segment's frame i. Numbering them `frame << 16 | i` was 40
times slower: every frame would open a container of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from frames.index.bitmaps import SEGMENT_BITS, from_array, to_array, union

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyroaring import BitMap

    from frames.index.bitmaps import UInt32Array


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
    return union(
        from_array(np.unique(_rows_of(bitmap, offsets[segment])) + (segment << SEGMENT_BITS))
        for segment, bitmap in regions.segments.items()
    )


def counts_by_frame(
    regions: RegionSet, offsets: Mapping[int, UInt32Array], wanted: Callable[[int], bool]
) -> dict[int, int]:
    """Return how many of the regions each frame has, for those with a wanted number of them."""
    counts: dict[int, int] = {}
    for segment, bitmap in regions.segments.items():
        rows, numbers = np.unique(_rows_of(bitmap, offsets[segment]), return_counts=True)
        for row, number in zip(rows.tolist(), numbers.tolist(), strict=True):
            if wanted(number):
                counts[segment << SEGMENT_BITS | row] = number
    return counts


def regions_of(frames: BitMap, offsets: Mapping[int, UInt32Array]) -> RegionSet:
    """Return all regions of the given frames."""
    values = to_array(frames)
    found: dict[int, BitMap] = {}
    for segment, starts in offsets.items():
        first, end = segment << SEGMENT_BITS, (segment + 1) << SEGMENT_BITS
        rows = values[values.searchsorted(first) : values.searchsorted(end)] - np.uint32(first)
        if not len(rows):
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
    return RegionSet(found)


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


def _rows_of(bitmap: BitMap, offsets: UInt32Array) -> UInt32Array:
    """Return, for each region, its frame's row in the segment; equal rows stand together."""
    rows = np.searchsorted(offsets, to_array(bitmap), side="right") - 1
    return rows.astype(np.uint32)
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


def _first_of_each(rows: UInt32Array) -> UInt32Array:
    """Return each of the rows once; equal ones stand together. A fifth of np.unique's time."""
    return rows[np.flatnonzero(np.diff(rows, prepend=np.uint32(2**32 - 1)))]


