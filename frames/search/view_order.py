"""In what order a data view gives its frames, and when it ends.

- Once, or up to a limit, in sequence: by context, then timestamp, then frame id, over all
  versions; of a limit each filter gives its share by weight, the first of its frames.
- Once, or up to a limit, at random: a permutation that the seed decides. It is computed place by
  place and never held, so the millionth frame costs what the first does. Clips, so many frames of
  a context one behind the other, are in random order in the same way.
- Without end: the filters take turns, so that after any number of frames each has given its share
  by weight, to within one frame; each begins again when it is through.

A random order permutes places in the bitmaps, so it is the same wherever the frames were written
in the same order, whatever the database.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import blake2b
from math import lcm
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from frames.index.bitmaps import BitMap, from_array
from frames.index.reader import DatasetIndex
from frames.models import Frame
from frames.models.frame import frame_pk, ordinal_of
from frames.search import contexts, order
from frames.search.errors import QueryError
from frames.search.query import GROUP_NONE, FrameQuery, decode_after, encode_after
from frames.search.view_definition import RANDOM, SEQUENTIAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frames.models import Version
    from frames.search.views import Part, ViewFrames

UInt64Array = npt.NDArray[np.uint64]
# (context id, timestamp, frame id): the order of frames in sequence.
Key = tuple[str, float, str]

_ROUNDS: Final = 6
_CHUNK_MAX: Final = 5_000
_CLIPS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Drawn:
    """A frame of a view: the filter it was drawn by, its version and its ordinal."""

    filter: int
    place: int
    version: Version
    ordinal: int


def page(view: ViewFrames, after: str, limit: int) -> tuple[list[Drawn], str | None]:
    """Return the frames behind a place in a view's order, and the token of the next page.

    Raises QueryError for a filter that cannot be answered and for a token of another view.
    Queries: at random none, for clips up to 3 a filter, dataset and stretch of its frames; in
    sequence up to 4 for each filter and version, and 2 for the place.
    """
    if view.error:
        raise view.error
    iteration = view.definition.iteration
    if iteration.infinite:
        return _endless(view, after, limit)
    if iteration.order == RANDOM and iteration.clip_length > 1:
        return _in_clips(view, after, limit)
    if iteration.order == RANDOM:
        return _shuffled(view, after, limit)
    return _in_sequence(view, after, limit)


def frames(view: ViewFrames, chunk: int = 1_000) -> Iterator[Drawn]:
    """Yield a view's frames in its order, reading ahead by chunks; without end where it has none.

    Raises QueryError for a filter that cannot be answered.
    """
    iteration = view.definition.iteration
    if iteration.order == SEQUENTIAL and not iteration.infinite:
        if view.error:
            raise view.error
        # Where pages begin their streams anew, this reads each row once.
        yield from _sequence(view, _given(view), None, chunk)
        return
    after: str | None = ""
    while after is not None:
        found, after = page(view, after, chunk)
        yield from found


def apportion(limit: int, weights: Sequence[float], sizes: Sequence[int]) -> list[int]:
    """Return how many frames each filter gives of a limit: its share by weight, rounded.

    What a filter has too few frames for goes to the others by their weights. Each share is
    within one frame of exact (largest remainders).
    """
    shares = [Fraction(weight) for weight in weights]
    given = [0] * len(sizes)
    left = min(limit, sum(sizes))
    open_filters = [n for n, size in enumerate(sizes) if size]
    while open_filters:
        total = sum(shares[n] for n in open_filters)
        full = [n for n in open_filters if left * shares[n] >= sizes[n] * total]
        if not full:
            break
        # Judged together: each of them would get all it has whatever the others are given.
        for n in full:
            given[n] = sizes[n]
        left -= sum(sizes[n] for n in full)
        open_filters = [n for n in open_filters if n not in full]
    if open_filters:
        exact = {n: left * shares[n] / total for n in open_filters}
        for n in open_filters:
            given[n] = int(exact[n])
        missing = left - sum(given[n] for n in open_filters)
        for n in sorted(open_filters, key=lambda n: (given[n] - exact[n], n))[:missing]:
            given[n] += 1
    return given


def permuted(places: UInt64Array, size: int, key: str) -> UInt64Array:
    """Return where a permutation of `size` places that a key decides takes some of them.

    A Feistel network over the least even power of two that holds them; what falls outside goes
    through it again (Black and Rogaway, Ciphers with Arbitrary Finite Domains, 2002). Its rounds
    mix as SplitMix64 does: even enough to shuffle by, and no cipher.
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    material = blake2b(key.encode(), digest_size=8 * _ROUNDS).digest()
    keys = np.frombuffer(material, dtype="<u8")
    found = places.astype(np.uint64)
    wandering = np.arange(len(found))
    while len(wandering):
        values = found[wandering]
        left, right = values >> half, values & mask
        for number in keys:
            left, right = right, left ^ (_mixed(right + number) & mask)
        values = (left << half) | right
        found[wandering] = values
        wandering = wandering[values >= size]
    return found


def _mixed(values: UInt64Array) -> UInt64Array:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


# --- at random ------------------------------------------------------------------------------


class _Pool:
    """The frames of some parts one behind the other, by their place."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = [part for part in parts if part.frames]
        self.ends = list(itertools.accumulate(len(part.frames) for part in self.parts))
        self.size = self.ends[-1] if self.ends else 0

    def at(self, place: int, number: int) -> Drawn:
        """Return the frame at a place, drawn by the filter with a number."""
        which = bisect_right(self.ends, place)
        part = self.parts[which]
        first = self.ends[which] - len(part.frames)
        return Drawn(number, part.place, part.version, int(part.frames[place - first]))


def _shuffled(view: ViewFrames, after: str, limit: int) -> tuple[list[Drawn], str | None]:
    """Go through a permutation of what the filters give. The token is the place in it."""
    place = decode_after(after, int)
    start = max(0, place[0]) if place else 0
    given = _given(view)
    pools = [_Pool(item.own) for item in view.filters]
    end = min(start + limit, sum(given))
    found = _drawn(pools, given, view.definition.iteration.random_seed, start, end)
    return found, encode_after(end) if end < sum(given) else None


def _drawn(
    pools: Sequence[_Pool], given: Sequence[int], seed: int, start: int, end: int
) -> list[Drawn]:
    """Return what stands from one place to another in a permutation of what pools give."""
    numbers, places = _owners(given, seed, start, end)
    drawn = []
    for number in np.unique(numbers).tolist():
        mine = numbers == number
        inside = permuted(places[mine], pools[number].size, f"{seed} {number}")
        drawn += list(zip(np.flatnonzero(mine).tolist(), inside.tolist(), itertools.repeat(number)))
    return [pools[number].at(inside, number) for _, inside, number in sorted(drawn)]


def _owners(
    given: Sequence[int], seed: int, start: int, end: int
) -> tuple[npt.NDArray[np.intp], UInt64Array]:
    """Return whose turn it is from one place to another, and the how manieth of its turns.

    Each filter has as many turns as it gives frames.
    """
    ends = np.cumsum(given, dtype=np.uint64)
    slots = permuted(np.arange(start, end, dtype=np.uint64), sum(given), f"{seed}")
    numbers = np.searchsorted(ends, slots, side="right")
    return numbers, slots - (ends - np.array(given, dtype=np.uint64))[numbers]


def _in_clips(view: ViewFrames, after: str, limit: int) -> tuple[list[Drawn], str | None]:
    """Go through a permutation of each filter's frames, and give a clip where its first one stands.

    So the clips are in random order, nothing has to be known of those that come later, and a
    filter is not looked for among the frames of another. Which filter gives the next clip is
    decided as for single frames. The token is the filter and the place in its clip where the page
    ends, and of each filter the place in its permutation and what it has given.
    """
    given = _given(view)
    total, count = sum(given), len(given)
    pools = [_Pool(item.own) for item in view.filters]
    token = decode_after(after, *(int,) * (2 + 2 * count)) or [0] * (2 + 2 * count)
    number, inside, *rest = (max(0, value) for value in token)
    places = rest[:count]
    taken = [min(had, most) for had, most in zip(rest[count:], given, strict=True)]
    seed = view.definition.iteration.random_seed
    start = sum(taken)
    owners = _owners(given, seed, start, min(start + limit, total))[0].tolist()
    walks = [_walk_clips(view, n, pools[n], places[n]) for n in range(count)]
    found: list[Drawn] = []
    while len(found) < limit:
        left = [most - had for most, had in zip(given, taken, strict=True)]
        having = [n for n in range(count) if left[n] > 0 and places[n] < pools[n].size]
        if not having:
            return found, None
        if not (inside and number in having):
            number, inside = owners[len(found)], 0
        if number not in having:
            number = max(having, key=lambda n: (left[n], -n))
        walked = next(walks[number], None)
        if walked is None:
            # What it had left has been removed meanwhile.
            places[number] = pools[number].size
            continue
        places[number], first, clip = walked
        clip = clip[inside : inside + left[number]]
        shown = clip[: limit - len(found)]
        found += [replace(first, ordinal=ordinal) for ordinal in shown]
        taken[number] += len(shown)
        if len(shown) < len(clip):
            inside += len(shown)
        else:
            places[number], inside = places[number] + 1, 0
    return found, encode_after(number, inside, *places, *taken) if sum(taken) < total else None


def _walk_clips(
    view: ViewFrames, number: int, pool: _Pool, place: int
) -> Iterator[tuple[int, Drawn, list[int]]]:
    """Yield the clips of a filter from a place in the permutation of its frames, with their places.

    Reads ahead by stretches that double, since of long clips few frames begin one.
    """
    iteration = view.definition.iteration
    stretch = _CLIPS_AT_ONCE
    while place < pool.size:
        end = min(place + stretch, pool.size)
        slots = np.arange(place, end, dtype=np.uint64)
        chosen = permuted(slots, pool.size, f"{iteration.random_seed} {number}").tolist()
        drawn = [pool.at(inside, number) for inside in chosen]
        for first, clip in zip(drawn, _clips(view, drawn, iteration.clip_length), strict=True):
            if clip:
                yield place, first, clip
            place += 1
        stretch = min(2 * stretch, _CHUNK_MAX)


def _clips(view: ViewFrames, drawn: Sequence[Drawn], length: int) -> list[list[int]]:
    """Return the clip that begins with each frame, empty where it begins none or has been removed.

    A clip is so many frames of a context, as a filter has them of a version, in order of time.
    Queries: up to 3 for each dataset.
    """
    datasets = {item.version.dataset_id: item.version.dataset for item in drawn}
    contexts_of: dict[tuple[int, int], str] = {}
    columns: dict[tuple[int, str], contexts.Column] = {}
    for pk, dataset in datasets.items():
        index = DatasetIndex(dataset)
        ordinals = BitMap([item.ordinal for item in drawn if item.version.dataset_id == pk])
        rows = order.read(index, ordinals, ("context_id",))
        contexts_of |= {(pk, ordinal): context_id for ordinal, context_id in rows}
        named = sorted({context_id for _, context_id in rows})
        found = contexts.columns_of(index, named, dataset.next_ordinal)
        columns |= {(pk, context_id): column for context_id, column in found.items()}
    held = {
        (number, part.place): part.frames
        for number in {item.filter for item in drawn}
        for part in view.filters[number].own
    }
    clips: list[list[int]] = []
    for item in drawn:
        pk = item.version.dataset_id
        context_id = contexts_of.get((pk, item.ordinal))
        column = None if context_id is None else columns.get((pk, context_id))
        if column is None:
            clips.append([])
            continue
        # Cut to the context first: a version's whole set, as an array, would be made each time.
        here = held[item.filter, item.place] & from_array(column.ordinals)
        ordered = column.of(here).ordinals
        at = int(np.flatnonzero(ordered == item.ordinal)[0])
        clips.append(ordered[at : at + length].tolist() if at % length == 0 else [])
    return clips


def _given(view: ViewFrames) -> list[int]:
    """Return how many frames each filter gives to an iteration that ends."""
    sizes = [sum(len(part.frames) for part in item.own) for item in view.filters]
    limit = view.definition.iteration.limit
    if limit is None:
        return sizes
    return apportion(limit, [item.filter.weight for item in view.filters], sizes)


# --- in sequence ----------------------------------------------------------------------------


def _in_sequence(view: ViewFrames, after: str, limit: int) -> tuple[list[Drawn], str | None]:
    """Merge the filters' streams. The token is the last frame, and what each filter has given."""
    given = _given(view)
    token = decode_after(after, *(int,) * (2 + len(given))) if after else None
    behind = _place_of(view, token[0], token[1]) if token else None
    taken = token[2:] if token else [0] * len(given)
    left = [max(0, most - had) for most, had in zip(given, taken, strict=True)]
    found = list(itertools.islice(_sequence(view, left, behind, limit + 1), limit + 1))
    if len(found) <= limit:
        return found, None
    found = found[:limit]
    for drawn in found:
        taken[drawn.filter] += 1
    return found, encode_after(found[-1].place, found[-1].ordinal, *taken)


def _sequence(
    view: ViewFrames, left: Sequence[int], behind: tuple[Key, int] | None, chunk: int
) -> Iterator[Drawn]:
    """Yield the frames of all filters in sequence, of each filter so many as it has left."""
    streams = [
        itertools.islice(_stream(number, item.own, behind, chunk), left[number])
        for number, item in enumerate(view.filters)
    ]
    for _, drawn in heapq.merge(*streams, key=lambda found: found[0]):
        yield drawn


def _stream(
    number: int, parts: Sequence[Part], behind: tuple[Key, int] | None, chunk: int
) -> Iterator[tuple[tuple[Key, int], Drawn]]:
    """Yield the frames of a filter in sequence with their keys, from behind a key and version."""
    streams = [_of_part(number, part, behind, chunk) for part in parts if part.frames]
    return heapq.merge(*streams, key=lambda found: found[0])


def _of_part(
    number: int, part: Part, behind: tuple[Key, int] | None, chunk: int
) -> Iterator[tuple[tuple[Key, int], Drawn]]:
    """Yield the frames of a version in sequence; chunks double. Queries: up to 4 a chunk."""
    index = DatasetIndex(part.version.dataset)
    query = FrameQuery(group=GROUP_NONE)
    if behind is not None:
        key, place = behind
        if part.place > place:
            # The frame itself may be in this version too, which comes after the other.
            for ordinal in _revisions_at(part, key):
                yield (key, part.place), Drawn(number, part.place, part.version, ordinal)
        query = query.with_(after=encode_after(*key))
    while True:
        ordinals, after = order.page_of(index, part.frames, query, chunk)
        rows = order.read(index, BitMap(ordinals), ("context_id", "timestamp", "frame_id"))
        for ordinal, *columns in sorted(rows, key=lambda row: row[1:]):
            context_id, timestamp, frame_id = columns
            found = ((context_id, timestamp, frame_id), part.place)
            yield found, Drawn(number, part.place, part.version, ordinal)
        if after is None:
            return
        query = query.with_(after=after)
        chunk = min(2 * chunk, _CHUNK_MAX)


def _revisions_at(part: Part, key: Key) -> list[int]:
    """Return the revision of a version at exactly a key, if it has one there. Queries: 1."""
    context_id, timestamp, frame_id = key
    rows = Frame.objects.filter(
        dataset=part.version.dataset,
        frame_id=frame_id,
        context_id=context_id,
        timestamp=timestamp,
    )
    ordinals = [ordinal_of(pk) for pk in rows.values_list("pk", flat=True)]
    return [ordinal for ordinal in ordinals if ordinal in part.frames]


def _place_of(view: ViewFrames, place: int, ordinal: int) -> tuple[Key, int]:
    """Return the key of a frame that a token names. Queries: 1. Raises QueryError."""
    if not 0 <= place < len(view.versions) or not 0 <= ordinal < 2**32:
        raise QueryError("This page does not belong to this view.", field="after")
    pk = frame_pk(view.versions[place].dataset_id, ordinal)
    row = Frame.objects.filter(pk=pk).values_list("context_id", "timestamp", "frame_id").first()
    if row is None:
        raise QueryError("This page does not belong to this view.", field="after")
    return row, place


# --- without end ----------------------------------------------------------------------------


def _endless(view: ViewFrames, after: str, limit: int) -> tuple[list[Drawn], str | None]:
    """Let the filters take turns. The token is how often each had its turn, and its last frame."""
    pools = [_Pool(item.parts) for item in view.filters]
    numbers = [number for number, pool in enumerate(pools) if pool.size]
    if not numbers:
        return [], None
    iteration = view.definition.iteration
    token = decode_after(after, *(int,) * (3 * len(pools))) if after else None
    taken = token[: len(pools)] if token else [0] * len(pools)
    lasts = (
        list(zip(token[len(pools) :: 2], token[len(pools) + 1 :: 2], strict=True))
        if token
        else [(-1, -1)] * len(pools)
    )
    if min(taken) < 0:
        raise QueryError("This page does not belong to this view.", field="after")
    turns = Turns([view.filters[n].filter.weight for n in numbers], [taken[n] for n in numbers])
    chosen = [numbers[next(turns)] for _ in range(limit)]
    draws = {}
    for number in set(chosen):
        wanted = chosen.count(number)
        if iteration.order == RANDOM:
            draws[number] = _rounds(
                pools[number], number, taken[number], wanted, iteration.random_seed
            )
        else:
            behind = _place_of(view, *lasts[number]) if lasts[number][0] >= 0 else None
            draws[number] = _cycle(number, pools[number].parts, behind, wanted)
    found = [next(draws[number]) for number in chosen]
    for drawn in found:
        taken[drawn.filter] += 1
        lasts[drawn.filter] = (drawn.place, drawn.ordinal)
    return found, encode_after(*taken, *itertools.chain.from_iterable(lasts))


class Turns:
    """Whose turn it is: filters by weights, each within one turn of its share at any time.

    Source: R. Tijdeman, The chairman assignment problem, Discrete Mathematics 32 (1980): of those
    that lag far enough behind their share, the one that would be late first. In whole numbers, so
    that every machine decides alike.
    """

    def __init__(self, weights: Sequence[float], taken: Sequence[int]) -> None:
        exact = [Fraction(weight) for weight in weights]
        scale = lcm(*(share.denominator for share in exact))
        self._shares = [int(share * scale) for share in exact]
        self._total = sum(self._shares)
        self._taken = list(taken)
        self._turn = sum(taken)

    def __iter__(self) -> Turns:
        return self

    def __next__(self) -> int:
        """Return whose turn it is, by position among the weights."""
        self._turn += 1
        if len(self._shares) == 1:
            return 0
        steps = 2 * len(self._shares) - 2
        deadlines = []
        for number, (share, taken) in enumerate(zip(self._shares, self._taken, strict=True)):
            if (share * self._turn - taken * self._total) * steps >= self._total:
                # The first turn at which it would lag by 1 - 1/steps.
                deadline = -(-(self._total * (taken * steps + steps - 1)) // (share * steps))
                deadlines.append((deadline, number))
        _, chosen = min(deadlines)
        self._taken[chosen] += 1
        return chosen


def _rounds(pool: _Pool, number: int, taken: int, wanted: int, seed: int) -> Iterator[Drawn]:
    """Yield frames of a pool at random, each once a round, every round in another order."""
    while wanted:
        round_number, start = divmod(taken, pool.size)
        count = min(wanted, pool.size - start)
        places = np.arange(start, start + count, dtype=np.uint64)
        for place in permuted(places, pool.size, f"{seed} {number} {round_number}").tolist():
            yield pool.at(place, number)
        taken += count
        wanted -= count


def _cycle(
    number: int, parts: Sequence[Part], behind: tuple[Key, int] | None, chunk: int
) -> Iterator[Drawn]:
    """Yield the frames of a filter in sequence again and again, from behind a place."""
    while True:
        for _, drawn in _stream(number, parts, behind, chunk):
            yield drawn
        behind = None
