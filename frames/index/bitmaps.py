"""Bitmaps to numpy arrays, to bytes, and back."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEGMENT_BITS: Final = 16
SEGMENT_SIZE: Final = 1 << SEGMENT_BITS

__all__ = [
    "SEGMENT_BITS",
    "SEGMENT_SIZE",
    "BitMap",
    "UInt32Array",
    "dump",
    "from_array",
    "load",
    "rows_by_segment",
    "to_array",
    "union",
]

UInt32Array: TypeAlias = npt.NDArray[np.uint32]


def to_array(bitmap: BitMap) -> UInt32Array:
    """Return the members in ascending order: (n,) uint32, read-only."""
    return np.frombuffer(bitmap.to_array(), dtype=np.uint32)


def from_array(values: npt.NDArray[np.integer]) -> BitMap:
    """Return the bitmap of an integer array's values, each in [0, 2**32)."""
    # array.array is pyroaring's fast way in: 333,000 values take 8 ms, a numpy array 26 ms.
    return BitMap(array("I", np.ascontiguousarray(values, dtype=np.uint32).tobytes()))


def rows_by_segment(frames: BitMap) -> Iterator[tuple[int, UInt32Array]]:
    """Yield (segment, the frames' rows in it) of the segments that have one, in order.

    Rows are (n,) uint32, ascending and below SEGMENT_SIZE. Ten million frames at once would be
    an array of 40 MB.
    """
    if not frames:
        return
    for segment in range(frames.min() >> SEGMENT_BITS, (frames.max() >> SEGMENT_BITS) + 1):
        first = segment << SEGMENT_BITS
        if inside := frames & BitMap(range(first, first + SEGMENT_SIZE)):
            yield segment, to_array(inside) - np.uint32(first)


def dump(bitmap: BitMap) -> bytes:
    """Return the portable serialised form, runs compressed: at most 8 KiB a segment."""
    bitmap.run_optimize()
    return bytes(bitmap.serialize())


def load(data: bytes | memoryview) -> BitMap:
    """Return the bitmap of `dump`'s bytes; raise ValueError for others."""
    return BitMap.deserialize(bytes(data))


def union(bitmaps: Iterable[BitMap]) -> BitMap:
    """Return the union of any number of bitmaps, none included."""
    parts = list(bitmaps)
    return BitMap.union(*parts) if len(parts) > 1 else (parts[0].copy() if parts else BitMap())
