"""The order of the frames inside a context: timestamp, then frame id; and all contexts in order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import numpy as np

from frames.index import store
from frames.index.bitmaps import SEGMENT_BITS, UInt32Array, rows_by_segment, to_array
from frames.index.cache import cache
from frames.models import Frame
from frames.models.frame import ORDINAL_MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from frames.index.bitmaps import BitMap
    from frames.index.numbers import Float64Array
    from frames.index.reader import DatasetIndex, TermFrames

# Past so many contexts without a page, `behind` is asked.
WALK_MAX: Final = 2_048
# So many frames of each of 50 contexts are read together sooner than one after the other.
_SMALL: Final = 2_000


@dataclass(frozen=True, slots=True)
class Column:
    """Frames of one context in order: `ordinals` (n,) uint32 and `timestamps` (n,) float64."""

    ordinals: UInt32Array
    timestamps: Float64Array

    def is_in(self, frames: BitMap) -> npt.NDArray[np.bool_]:
        """Return which of them are in a set: (n,)."""
        held = to_array(frames)
        if not len(held):
            return np.zeros(len(self.ordinals), dtype=bool)
        nearest = np.minimum(np.searchsorted(held, self.ordinals), len(held) - 1)
        inside: npt.NDArray[np.bool_] = held[nearest] == self.ordinals
        return inside

    def of(self, frames: BitMap) -> Column:
        """Return those of them that are in a set."""
        here = self.is_in(frames)
        return Column(self.ordinals[here], self.timestamps[here])


def in_order(
    index: DatasetIndex,
    context_id: str,
    within: BitMap,
    *,
    descending: bool = False,
    after: str | None = None,
) -> UInt32Array:
    """Return the ordinals of a context's frames that are in a set: (n,) uint32, in order.

    With `after`, a frame id, only those behind that frame; none if the context never had it.
    Queries: up to 2.
    """
    column = column_of(index, context_id)
    order = column.ordinals
    inside = column.is_in(within)
    if descending:
        order, inside = order[::-1], inside[::-1]
    if after is not None:
        rows = Frame.objects.filter(dataset=index.dataset, frame_id=after)
        ordinals = [pk & ORDINAL_MASK for pk in rows.values_list("pk", flat=True)]
        places = np.flatnonzero(np.isin(order, ordinals))
        behind = places[-1] + 1 if len(places) else len(order)
        order, inside = order[behind:], inside[behind:]
    found: UInt32Array = order[inside]
    return found


def column_of(index: DatasetIndex, context_id: str) -> Column:
    """Return every revision of a context in order, kept in the cache at 12 bytes each.

    Read off an index of the database alone: 70,000 frames take 40 ms the first time.
    """
    slot = _slot(index, context_id)
    column: Column | None = cache.get(slot)
    if column is None:
        moments = store.moments_of_contexts(index.dataset.pk, [context_id])
        column = _keep(slot, [*moments])
    return column


def columns_of(index: DatasetIndex, context_ids: Sequence[str], read_max: int) -> dict[str, Column]:
    """Return the columns of some contexts, those in the cache and others of up to `read_max` rows.

    Queries: up to 2 for all small ones, and 1 for each large one.
    """
    columns: dict[str, Column] = {}
    missing = []
    for context_id in context_ids:
        column = cache.get(_slot(index, context_id))
        if column is None:
            missing.append(context_id)
        else:
            columns[context_id] = column
    if not missing:
        return columns
    small: list[str] = []
    for value, frames in index.texts("context_id", missing):
        read_max -= len(frames)
        if read_max < 0:
            break
        if len(frames) <= _SMALL:
            small.append(value)
        else:
            columns[value] = column_of(index, value)
    rows = store.moments_of_contexts(index.dataset.pk, small)
    moments = {context_id: [*group] for context_id, group in groupby(rows, itemgetter(0))}
    for context_id in small:
        columns[context_id] = _keep(_slot(index, context_id), moments.get(context_id, []))
    return columns


def behind(
    index: DatasetIndex,
    wanted: Callable[[Callable[[BitMap], npt.NDArray[np.int64]]], npt.NDArray[np.bool_]],
    after: str | None,
    limit: int,
    *,
    descending: bool = False,
) -> list[TermFrames]:
    """Return the next contexts behind one that are wanted, having counted the frames of all.

    `wanted` is given a count of a set's frames in each context, (contexts,), and returns which
    contexts are wanted. Takes as long as a walk along all contexts the first time after a write, a
    tenth of it from the cache. Queries: 2, and 1 for each 500 contexts the first time.
    """
    terms, numbers = index.numbering("context_id")

    def count(frames: BitMap) -> npt.NDArray[np.int64]:
        # One more, for frames of no context. Segment by segment: contexts are written together,
        # so each touches few of them, and ten million numbers at once would be 160 MB.
        found = np.zeros(len(terms) + 1, dtype=np.int64)
        for segment, rows in rows_by_segment(frames):
            here = numbers[segment << SEGMENT_BITS :][rows]
            least = int(here.min())
            counts = np.bincount(here - least)
            found[least : least + len(counts)] += counts
        return found[:-1]

    found = np.flatnonzero(wanted(count))
    if after is not None:
        (context,) = index.texts("context_id", [after])
        place = int(numbers[context.frames.min()])
        found = found[found < place] if descending else found[found > place]
    found = found[::-1] if descending else found
    return index.texts_of(terms[found[:limit]].tolist())


def _slot(index: DatasetIndex, context_id: str) -> tuple[str, int, int, str]:
    return ("order", index.dataset.pk, index.dataset.generation, context_id)


def _keep(slot: tuple[str, int, int, str], rows: Sequence[tuple[str, float, int]]) -> Column:
    _, timestamps, pks = zip(*rows, strict=True) if rows else ((), (), ())
    column = Column(
        (np.array(pks, dtype=np.int64) & ORDINAL_MASK).astype(np.uint32),
        np.array(timestamps, dtype=np.float64),
    )
    cache.put(slot, column, column.ordinals.nbytes + column.timestamps.nbytes)
    return column
