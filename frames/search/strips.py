"""A context along its time: where hits lie, where nothing was recorded, which times are doubted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from frames.index.numbers import Float64Array

    BoolArray = npt.NDArray[np.bool_]

# A pause is a gap when it is this many times the usual one.
GAP_FACTOR: Final = 2.5
# Beyond 100 hours a timestamp is a date; below, a position in a recording or a clock not yet set.
DATE_MS: Final = 100 * 3_600_000
_NONE: Final = np.empty(0, dtype=np.intp)
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
    """Lay frames, given in order, along their time; both (n,), n at least 1.

    50 us for a hundred frames: a page has 48 of them, so what is rare is looked for first.
    """
    strays = _strays(timestamps)
    trusted = timestamps[strays:]
    first, last = float(trusted[0]), float(trusted[-1])
    shared = _NONE
    if last > first:
        places = (timestamps - first) / (last - first)
        places[:strays] = 0.0
        shared = _shared(timestamps)
    else:
        # One moment only: side by side, and nothing to doubt.
        places = np.linspace(0.0, 1.0, len(timestamps)) if len(timestamps) > 1 else np.zeros(1)
    gaps = [
        Gap(
            float(places[strays + number]),
            float(places[strays + number + 1]),
            float(trusted[number + 1] - trusted[number]),
        )
        for number in gaps_after(trusted)
    ]
    return Timeline(
        places=places,
        hits=np.flatnonzero(is_hit),
        gaps=gaps,
        shared=shared,
        stray=np.arange(strays),
        first=first,
        last=last,
    )


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


def _strays(timestamps: Float64Array) -> int:
    """Return how many at the beginning are not dates, where most are."""
    # The median: in order they are already, and np.median takes as long as all the rest.
    if (timestamps[(len(timestamps) - 1) // 2] + timestamps[len(timestamps) // 2]) / 2 <= DATE_MS:
        return 0
    return int(np.searchsorted(timestamps, DATE_MS, side="right"))


def _shared(timestamps: Float64Array) -> npt.NDArray[np.intp]:
    """Return which frames have the timestamp of the one before them.

    None where all moments have equally many frames: so many cameras record together.
    """
    same = timestamps[1:] == timestamps[:-1]
    if not same.any():
        return _NONE
    begins = np.flatnonzero(np.concatenate(([True], ~same)))
    counts = np.diff(begins, append=len(timestamps))
    return np.flatnonzero(same) + 1 if (counts != counts[0]).any() else _NONE
