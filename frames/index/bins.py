"""Ranges of numbers or dates side by side, at most 120 of them, that histograms count in.

Bins are as wide as a power of two. Numbers with up to 8 significant binary digits begin a bucket
(frames/index/numbers.py), so as long as no edge is over 256 bins from zero, edges lie between
buckets and each bin is a union of postings. Where all numbers lie far from zero, timestamps of
one hour say, the exact ones of the buckets across an edge are read, once for each write.

Bins of dates are as wide as people divide time. Each date is a term of its own, so each lies whole
in a bin.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from frames.index.numbers import bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BINS_MAX: Final = 120
# Stragglers on one side go into a bin of their own where the others spread so much less.
_STRAGGLE: Final = 10
_STRAGGLERS_MAX: Final = 1000

DATE_BINS_MAX: Final = 60
# Where the years 1 to 9999 begin and end, in epoch ms: what lies beyond is not written as a date.
DATES_BEGIN_MS: Final = -62_135_596_800_000
DATES_END_MS: Final = 253_402_300_800_000
_DAY_S: Final = 86_400
_DATE_STEPS_S: Final = (
    *(1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200),
    *(_DAY_S * days for days in (1, 2, 7, 14, 30, 90)),
    *(_DAY_S * 365 * years for years in (1, 2, 5, 10, 20, 50, 100, 200)),
)


class Bucket(NamedTuple):
    """A bucket of numbers, by its member nearest to zero, or a date, and how many have it."""

    number: float
    members: int


@dataclass(frozen=True, slots=True)
class Edges:
    """Where the bins of a key begin and end: bin i holds numbers in [at[i], at[i + 1]).

    The last bin's end is closed. `is_open_below` and `is_open_above` say that the first, or last,
    bin holds a few stragglers and is wider than the others.
    """

    at: tuple[float, ...]
    is_open_below: bool = False
    is_open_above: bool = False

    def __len__(self) -> int:
        return len(self.at) - 1

    def bin_of(self, number: float) -> int:
        """Return the bin that a number of the key falls into."""
        return min(max(bisect_right(self.at, number) - 1, 0), len(self) - 1)


def edges_of(
    buckets: Sequence[Bucket],
    extremes: Callable[[float], tuple[float, float]],
    bins_max: int = BINS_MAX,
) -> Edges:
    """Return the edges of bins, `bins_max` at most, for some buckets, ascending and at least one.

    `extremes` returns the least and the greatest number that a bucket does hold; it is asked of
    four buckets at most.
    """
    first, last = _without_stragglers(buckets, bounds)
    below, above = first > 0, last < len(buckets) - 1
    low, high = extremes(buckets[first].number)[0], extremes(buckets[last].number)[1]
    if low == high:
        # Closed at its end only if it is the last bin.
        inner = [low, math.nextafter(high, math.inf) if above else high]
    else:
        step = _step(low, high, bins_max - below - above)
        start, end = math.floor(low / step), math.ceil(high / step)
        if all(bucket.number.is_integer() for bucket in buckets[first : last + 1]):
            # Whole numbers, as far as buckets tell: a bin for each, the greatest's too.
            step = max(step, 1.0)
            start, end = math.floor(low / step), math.floor(high / step) + 1
        # A number so small that its quotient is none lies beside the zero that it became.
        start, end = start - (start * step > low), end + (end * step < high)
        inner = [_finite(number * step) for number in range(start, end + 1)]
    if below:
        inner.insert(0, extremes(buckets[0].number)[0])
    if above:
        inner.append(extremes(buckets[-1].number)[1])
    return Edges(tuple(inner), below, above)


def date_edges(dates: Sequence[Bucket], finest: float) -> Edges:
    """Return the edges of bins, DATE_BINS_MAX at most, for some dates in epoch ms, ascending.

    They lie at multiples of a step, in UTC, that is not below `finest`: where all dates are whole
    days, bins of hours would be empty but for one a day.
    """
    first, last = _without_stragglers(dates, lambda date: (date, date))
    below, above = first > 0, last < len(dates) - 1
    low, high = dates[first].number, dates[last].number
    bins_max = DATE_BINS_MAX - below - above
    steps = (1_000 * seconds for seconds in _DATE_STEPS_S)
    step = next(s for s in steps if s >= finest and high // s - low // s < bins_max)
    places = range(int(low // step), int(high // step) + 2)
    inner = [float(min(max(number * step, DATES_BEGIN_MS), DATES_END_MS)) for number in places]
    # Of dates that differ by less than a step, the odd one may lie beside the others.
    if below := below and dates[0].number < inner[0]:
        inner.insert(0, max(dates[0].number // step * step, DATES_BEGIN_MS))
    if above := above and dates[-1].number >= inner[-1]:
        inner.append(min((dates[-1].number // step + 1) * step, DATES_END_MS))
    return Edges(tuple(inner), below, above)


def _step(low: float, high: float, bins: int) -> float:
    """Return a power of two of which so many cover [low, high], wherever the first begins."""
    # Divided first: the difference of two floats can be over the greatest float. Two bins less:
    # one at either end may be there for the phase.
    width = high / (bins - 2) - low / (bins - 2)
    finest = max(math.ulp(low), math.ulp(high)) * 2
    return math.ldexp(1.0, math.ceil(math.log2(max(width, finest))))


def _finite(number: float) -> float:
    return max(-sys.float_info.max, min(sys.float_info.max, number))


def _without_stragglers(
    buckets: Sequence[Bucket], reach: Callable[[float], tuple[float, float]]
) -> tuple[int, int]:
    """Return the first and the last bucket to be told apart; those beyond hold stragglers.

    `reach` returns the least and the greatest number that a bucket may hold. One wrong timestamp of
    1970 would else put all others into one bin.
    """
    total = sum(bucket.members for bucket in buckets)
    allowed = max(1, total // _STRAGGLERS_MAX) if total >= _STRAGGLE else 0
    first, last = 0, len(buckets) - 1
    left = allowed
    while first < last and buckets[first].members <= left:
        left -= buckets[first].members
        first += 1
    left = allowed
    while first < last and buckets[last].members <= left:
        left -= buckets[last].members
        last -= 1
    low, high = reach(buckets[first].number)[0], reach(buckets[last].number)[1]
    spread = _STRAGGLE * (high / 2 - low / 2)
    if high / 2 - reach(buckets[0].number)[0] / 2 <= spread:
        first = 0
    if reach(buckets[-1].number)[1] / 2 - low / 2 <= spread:
        last = len(buckets) - 1
    return first, last
