"""Frames, and groups of them, in the order of the values of a key.

Numbers come first, by size, then false and true, then texts in byte order. A frame with several
values stands at its least, descending at its greatest; frames without one stand last in both
directions, and equal values in the order of writing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from frames.index.bitmaps import BitMap, from_array, to_array, union
from frames.index.cache import cache
from frames.index.numbers import bucket
from frames.index.rows import read_values
from frames.index.terms import NUMBER, VALUE_KINDS
from frames.models.frame import ORDINAL_MASK
from frames.search.errors import QueryError
from frames.search.query import decode_after, foreign_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frames.index.bitmaps import UInt32Array
    from frames.index.numbers import Float64Array
    from frames.index.reader import DatasetIndex, Run

# The kind of a place among the frames that have no value.
_NONE: Final = -1
# Numbers of so many buckets are read together: a page of groups at once where each has one.
_BUCKETS_AT_ONCE: Final = 64


class Place(NamedTuple):
    """Where a frame stands: its value, and its ordinal among equal ones."""

    kind: int
    value: str | float
    ordinal: int

    @property
    def run(self) -> tuple[int, str | float]:
        """The kind and value of the run that it lies in."""
        return self.kind, bucket(self.value) if isinstance(self.value, float) else self.value


class Group(NamedTuple):
    """One value of a key and the frames that have it."""

    kind: int
    value: str | float
    frames: BitMap


def page_by_value(
    index: DatasetIndex, matched: BitMap, key: str, after: str, limit: int, *, descending: bool
) -> list[tuple[int, Place]]:
    """Return (ordinal, place) of the next matched frames in the order of a key's values.

    Costs at most a pass over the key's terms, of which there are some hundreds for numbers and
    at most 20,000 texts. Raises QueryError for a key with more. Queries: 3 for each chunk of
    values that is passed, and 1 for the exact numbers.
    """
    place = _read_place(after)
    if index.is_overflowed(key):
        raise QueryError(
            f"{key} has too many values to sort by. Narrow the filter, or sort by another key.",
            field="sort",
        )
    places: list[Place] = []
    if place is None or place.kind != _NONE:
        places = _valued(index, matched, key, place, limit, descending=descending)
    if len(places) < limit:
        rest = to_array(matched - index.valued(key))
        if place is not None and place.kind == _NONE:
            rest = _behind(rest, place.ordinal, descending=descending)
        rest = rest[::-1] if descending else rest
        places += [Place(_NONE, "", n) for n in rest[: limit - len(places)].tolist()]
    return [(place.ordinal, place) for place in places]


def page_by_rows(
    index: DatasetIndex, matched: BitMap, key: str, after: str, limit: int, *, descending: bool
) -> list[tuple[int, Place]]:
    """Return the same for a few frames by reading the rows of all. Queries: 1 or 2 for each 500."""
    place = _read_place(after)
    choose = max if descending else min
    places = [
        Place(*choose(values, key=_rank), ordinal) if values else Place(_NONE, "", ordinal)
        for ordinal, values in read_values(index.dataset, to_array(matched).tolist(), key).items()
    ]
    having = sorted((p for p in places if p.kind != _NONE), key=_rank, reverse=descending)
    without = sorted((p for p in places if p.kind == _NONE), key=_rank, reverse=descending)
    if place is not None and place.kind == _NONE:
        having = []
        without = [p for p in without if (p < place if descending else p > place)]
    elif place is not None:
        edge = _rank(place)
        having = [p for p in having if (_rank(p) < edge if descending else _rank(p) > edge)]
    return [(p.ordinal, p) for p in (having + without)[:limit]]


def groups(
    index: DatasetIndex,
    within: BitMap,
    key: str,
    *,
    start: tuple[int, str | float] | None = None,
    descending: bool = False,
) -> Iterator[Group]:
    """Yield the values of a key that a frame of a set has, with all of their frames.

    From the value behind `start` on; `within` may only leave numbers out, so look again. Queries:
    2 a chunk of values, and 1 for each 64 buckets of numbers.
    """
    begin = start if start is None else Place(*start, 0).run
    buckets: list[Run] = []
    for run in index.runs(key, start=begin, descending=descending):
        if run.kind == NUMBER:
            if run.frames.intersect(within):
                buckets.append(run)
            if len(buckets) == _BUCKETS_AT_ONCE:
                yield from _numbers(index, key, buckets, within, start, descending=descending)
                buckets = []
            continue
        yield from _numbers(index, key, buckets, within, start, descending=descending)
        buckets = []
        if (run.kind, run.value) != start:
            yield Group(run.kind, run.value, run.frames)
    yield from _numbers(index, key, buckets, within, start, descending=descending)


def _numbers(
    index: DatasetIndex,
    key: str,
    buckets: Sequence[Run],
    within: BitMap,
    start: tuple[int, str | float] | None,
    *,
    descending: bool,
) -> Iterator[Group]:
    """Yield the exact numbers of some buckets that a frame of a set has."""
    if not buckets:
        return
    exact = index.exact_numbers(key, buckets)
    for run in buckets:
        frames, numbers = exact[run.term]
        wanted = np.unique(numbers[_inside(frames, within)])
        if start is not None and start[0] == NUMBER:
            wanted = wanted[wanted < start[1] if descending else wanted > start[1]]
        if len(wanted) == 1 and bool((numbers == numbers[0]).all()):
            yield Group(NUMBER, float(wanted[0]), run.frames)
            continue
        order = np.argsort(numbers, kind="stable")
        frames, numbers = frames[order], numbers[order]
        for number in (wanted[::-1] if descending else wanted).tolist():
            first, end = np.searchsorted(numbers, [number, number], side="left")
            end = np.searchsorted(numbers, number, side="right")
            yield Group(NUMBER, number, from_array(frames[first:end]))


def _valued(
    index: DatasetIndex,
    matched: BitMap,
    key: str,
    place: Place | None,
    limit: int,
    *,
    descending: bool,
) -> list[Place]:
    """Return the next places of matched frames that have a value."""
    left = matched
    begin = None
    if place is not None:
        begin = place.run
        if not index.is_single_valued(key):
            left = matched - _earlier(index, key, begin, descending=descending)
    wanted: list[tuple[Run, BitMap]] = []
    missing = limit
    single = index.is_single_valued(key)
    for run in index.runs(key, start=begin, descending=descending):
        hits = run.frames & left
        if not hits:
            continue
        if not single:
            left = left - hits
        wanted.append((run, hits))
        # Of the run that the last page ended in some are behind the place and some before it.
        if (run.kind, run.value) != begin:
            missing -= len(hits)
        if missing <= 0:
            break
    exact = index.exact_numbers(key, [run for run, _ in wanted if run.kind == NUMBER])
    places: list[Place] = []
    for run, hits in wanted:
        inside = place if (run.kind, run.value) == begin else None
        if run.kind == NUMBER:
            numbers = _least(*exact[run.term], hits, descending=descending)
            places += _in_bucket(*numbers, inside, limit, descending=descending)
        else:
            ordinals = to_array(hits)
            if inside is not None:
                ordinals = _behind(ordinals, inside.ordinal, descending=descending)
            ordinals = ordinals[::-1] if descending else ordinals
            places += [Place(run.kind, run.value, n) for n in ordinals[:limit].tolist()]
    return places[:limit]


def _least(
    frames: UInt32Array, numbers: Float64Array, hits: BitMap, *, descending: bool
) -> tuple[UInt32Array, Float64Array]:
    """Return the frames of a set, ascending, and the least, or greatest, number of each."""
    here = _inside(frames, hits)
    frames, numbers = frames[here], numbers[here]
    order = np.lexsort((-numbers if descending else numbers, frames))
    frames, numbers = frames[order], numbers[order]
    first = np.ones(len(frames), dtype=bool)
    first[1:] = frames[1:] != frames[:-1]
    return frames[first], numbers[first]


def _in_bucket(
    frames: UInt32Array,
    numbers: Float64Array,
    place: Place | None,
    limit: int,
    *,
    descending: bool,
) -> list[Place]:
    """Return the first places of frames, ascending, with their numbers, behind a place."""
    if descending:
        # The same order turned round, so that what follows has one direction.
        frames, numbers = frames[::-1], numbers[::-1]
    keys = -numbers if descending else numbers
    if place is not None:
        edge = -float(place.value) if descending else float(place.value)
        later = frames < place.ordinal if descending else frames > place.ordinal
        behind = (keys > edge) | ((keys == edge) & later)
        frames, keys = frames[behind], keys[behind]
    if len(keys) > 4 * limit:
        # One bucket may hold every frame of a dataset: dates of one year do.
        near = keys <= np.partition(keys, limit - 1)[limit - 1]
        frames, keys = frames[near], keys[near]
    order = np.argsort(keys, kind="stable")[:limit]
    sign = -1 if descending else 1
    return [
        Place(NUMBER, sign * key, frame)
        for key, frame in zip(keys[order].tolist(), frames[order].tolist(), strict=True)
    ]


def _earlier(
    index: DatasetIndex, key: str, begin: tuple[int, str | float], *, descending: bool
) -> BitMap:
    """Return the frames that stand before a run, because they have an earlier value too."""
    dataset = index.dataset
    slot = ("earlier", dataset.pk, dataset.generation, key, begin, descending)
    found: BitMap | None = cache.get(slot)
    if found is None:
        parts = []
        for run in index.runs(key, descending=descending):
            if (run.kind, run.value) == begin or _is_behind(run, begin, descending=descending):
                break
            parts.append(run.frames)
        found = union(parts)
        cache.put(slot, found, len(found.serialize()))
    return found


def _is_behind(run: Run, begin: tuple[int, str | float], *, descending: bool) -> bool:
    """Whether a run stands behind a value, which may have gone since its page was made."""
    here, there = _rank((run.kind, run.value)), _rank(begin)
    return here < there if descending else here > there


def _rank(place: Sequence[Any]) -> tuple[Any, ...]:
    """Return what a kind, a value and maybe an ordinal are sorted by."""
    kind, *rest = place
    return (VALUE_KINDS.index(kind) if kind in VALUE_KINDS else kind, *rest)


def _behind(ordinals: UInt32Array, ordinal: int, *, descending: bool) -> UInt32Array:
    """Return those of ascending ordinals that come after one, still ascending."""
    if descending:
        return ordinals[: np.searchsorted(ordinals, ordinal, side="left")]
    return ordinals[np.searchsorted(ordinals, ordinal, side="right") :]


def _inside(frames: UInt32Array, wanted: BitMap) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which of the frames are in a set: (n,) bool."""
    held = to_array(wanted)
    if not len(held):
        return np.zeros(len(frames), dtype=bool)
    nearest = np.minimum(np.searchsorted(held, frames), len(held) - 1)
    inside: np.ndarray[Any, np.dtype[np.bool_]] = held[nearest] == frames
    return inside


def _read_place(after: str) -> Place | None:
    """Return the place of a token; raise QueryError for one of another order."""
    found = decode_after(after, int, (int, float, str), int)
    if found is None:
        return None
    kind, value, ordinal = found
    is_number = not isinstance(value, str)
    if kind not in (*VALUE_KINDS, _NONE) or is_number != (kind == NUMBER) or ordinal < 0:
        raise foreign_token()
    return Place(kind, float(value) if is_number else value, min(ordinal, ORDINAL_MASK))
