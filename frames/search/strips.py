"""A context along its time: where hits lie, where nothing was recorded, which times are doubted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from frames.search import contexts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from frames.index.bitmaps import BitMap
    from frames.index.numbers import Float64Array
    from frames.index.reader import DatasetIndex

    BoolArray = npt.NDArray[np.bool_]

# A pause is a gap when it is this many times the usual one.
GAP_FACTOR: Final = 2.5
# Beyond 100 hours a timestamp is a date; below, a position in a recording or a clock not yet set.
DATE_MS: Final = 100 * 3_600_000
# Timestamps that a page reads at most for its cards: about 60 ms, once for each write.
READ_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Gap:
    """A pause that stands out: places of the frames around it, and its length in timestamps."""

    begin: float
    end: float
    length: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """A context's frames along its time; places run from 0, its first moment, to 1, its last.

    `places` is (n,), of all frames in order; `hits` the numbers in it of those a filter matches.
    `shared` are those at the moment of the frame before them, `stray` those near zero or 1970
    among dates, which stand at 0 and do not stretch the rest.
    """

    places: Float64Array
    hits: npt.NDArray[np.intp]
    gaps: list[Gap]
    shared: npt.NDArray[np.intp]
    stray: npt.NDArray[np.intp]
    first: float
    last: float


def timeline(timestamps: Float64Array, is_hit: BoolArray) -> Timeline:
    """Lay frames, given in order, along their time; both (n,), n at least 1."""
    stray = _strays(timestamps)
    trusted = timestamps[~stray]
    first, last = float(trusted[0]), float(trusted[-1])
    if last > first:
        places = np.clip((timestamps - first) / (last - first), 0.0, 1.0)
        shared = _shared(timestamps)
    else:
        # One moment only: side by side, and nothing to doubt.
        places = np.linspace(0.0, 1.0, len(timestamps)) if len(timestamps) > 1 else np.zeros(1)
        shared = np.zeros(len(timestamps), dtype=bool)
    trusted_places = places[~stray]
    gaps = [
        Gap(
            float(trusted_places[number]),
            float(trusted_places[number + 1]),
            float(trusted[number + 1] - trusted[number]),
        )
        for number in gaps_after(trusted)
    ]
    return Timeline(
        places=places,
        hits=np.flatnonzero(is_hit),
        gaps=gaps,
        shared=np.flatnonzero(shared),
        stray=np.flatnonzero(stray),
        first=first,
        last=last,
    )


def timelines(
    index: DatasetIndex, groups: Sequence[tuple[str, BitMap, BitMap]]
) -> dict[str, Timeline]:
    """Return the timeline of each of some contexts given with the frames held and those matched.

    Contexts beyond READ_MAX frames that are not in the cache are left out. Queries: 1 for all
    small contexts that are not in the cache, and 1 for each large one.
    """
    columns = contexts.columns_of(index, [value for value, _, _ in groups], READ_MAX)
    found = {}
    for value, held, hits in groups:
        if value in columns:
            column = columns[value].of(held)
            found[value] = timeline(column.timestamps, column.is_in(hits))
    return found


def gaps_after(timestamps: Float64Array) -> list[int]:
    """Return the numbers of the frames, given in order, that a pause follows.

    >>> gaps_after(np.array([0.0, 33, 66, 500, 533]))
    [2]
    """
    steps = np.diff(timestamps)
    usual = np.sort(steps[steps > 0])
    if len(usual) < 2:
        return []
    found: list[int] = np.flatnonzero(steps > usual[len(usual) // 2] * GAP_FACTOR).tolist()
    return found


def _strays(timestamps: Float64Array) -> BoolArray:
    if np.median(timestamps) <= DATE_MS:
        return np.zeros(len(timestamps), dtype=bool)
    return timestamps <= DATE_MS


def _shared(timestamps: Float64Array) -> BoolArray:
    """Return which frames have the timestamp of the one before them.

    None where all moments have equally many frames: so many cameras record together.
    """
    _, counts = np.unique(timestamps, return_counts=True)
    found = np.zeros(len(timestamps), dtype=bool)
    if bool((counts != counts[0]).any()):
        found[1:] = timestamps[1:] == timestamps[:-1]
    return found
